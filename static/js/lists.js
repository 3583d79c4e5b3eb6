// Lists and times work without this file: times are in UTC then, and mails are ticked one by one.

import { showTimes } from "./times.js";

// One box that ticks all of a name in its form, and shows when only some are ticked.
function offerTickAll() {
  for (const all of document.querySelectorAll("[data-smtp-admin-tick-all]")) {
    const name = all.dataset.smtpAdminTickAll;
    const boxes = [...(all.form?.elements ?? [])].filter((one) => one.name === name);
    const look = () => {
      const ticked = boxes.filter((one) => one.checked).length;
      all.checked = ticked === boxes.length;
      all.indeterminate = ticked > 0 && ticked < boxes.length;
    };
    all.hidden = false;
    all.addEventListener("change", () => boxes.forEach((one) => (one.checked = all.checked)));
    boxes.forEach((one) => one.addEventListener("change", look));
    look();
  }
}

// What still changes is fetched anew, as long as the page says so and is looked at.
function keepFresh() {
  const part = document.querySelector("[data-smtp-admin-refresh]");
  if (!part) return;
  setTimeout(async () => {
    if (!document.hidden && !part.contains(document.activeElement)) {
      try {
        const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const after = answer.ok && page.getElementById(part.id);
        if (after) {
          part.replaceWith(after);
          showTimes(after);
        }
      } catch {
        // Our own server is away for the moment; the next look comes.
      }
    }
    keepFresh();
  }, Number(part.dataset.smtpAdminRefresh) * 1000);
}

offerTickAll();
keepFresh();

// The rest of a bar closes as menus do; without this file, by a click on its own line.
document.addEventListener("click", (event) => {
  for (const one of document.querySelectorAll(".smtp-admin-more[open]")) {
    if (!one.contains(event.target)) one.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && document.querySelector(".smtp-admin-more[open]");
  if (!open) return;
  open.open = false;
  open.querySelector("summary").focus();
});

// What a button shows in a frame is there at once; without this file, after a click.
const pressed = document.querySelector("[data-smtp-admin-press]");
if (pressed) {
  pressed.form.requestSubmit(pressed);
  pressed.hidden = true;
}
