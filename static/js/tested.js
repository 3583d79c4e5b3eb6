// The result of a connection test is of the values that were tested: once others stand in the form,
// it says so, and it is good again as soon as they are back.

import { dress } from "./parts.js";

// No test depends on these; the first are the page's own, and new with each page.
const BESIDE = new Set([
  "csrf_token", "once", "revision", "preset", "label", "to", "from_name", "reply_to", "headers",
  "archive_to", "fallbacks", "max_per_hour", "max_per_day", "max_connections",
]);

const card = () => document.getElementById("connection-test");

function values() {
  const form = document.getElementById("sender-form");
  if (!form) return "";
  const entered = [...new FormData(form)].filter(([name]) => !BESIDE.has(name));
  return JSON.stringify(entered.sort());
}

// What the result in the card is of; a page whose form is changed already shows an older one.
let tested = card() && "smtpAdminStale" in card().dataset ? null : values();

// Called when a test is sent off: the answer will be of what stands in the form now.
export function testing() {
  tested = values();
  mark();
}

export function mark() {
  const note = document.getElementById("stale-test");
  if (!note) return;
  const stale = Boolean(card().querySelector("[aria-live] .smtp-admin-note")) && values() !== tested;
  note.hidden = !stale;
  card().classList.toggle("smtp-admin-stale", stale);
}

for (const name of ["input", "change"]) {
  document.addEventListener(name, (event) => {
    if (event.target.form?.id === "sender-form") mark();
  });
}
dress(mark);
