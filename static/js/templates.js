// The editor of e-mail templates: the preview follows what is typed, and a value is inserted by a
// click. Without this file there are a button for the preview and a plain list of values.

const form = document.getElementById("template-form");
const button = document.getElementById("preview-html");
let last = document.getElementById("html");
let waits = 0;

function show() {
  if (form && button) form.requestSubmit(button);
}

form?.addEventListener("input", () => {
  window.clearTimeout(waits);
  waits = window.setTimeout(show, 700);
});

form?.addEventListener("focusin", (event) => {
  if (event.target.matches("textarea[data-smtp-admin-source]")) last = event.target;
});

for (const code of document.querySelectorAll("[data-smtp-admin-insert]")) {
  const insert = document.createElement("button");
  insert.type = "button";
  insert.className = "smtp-admin-insert";
  insert.textContent = code.textContent;
  insert.setAttribute("aria-label", code.dataset.words);
  insert.addEventListener("click", () => {
    if (!last) return;
    last.setRangeText(code.dataset.smtpAdminInsert, last.selectionStart, last.selectionEnd, "end");
    last.focus();
    last.dispatchEvent(new Event("input", { bubbles: true }));
  });
  code.replaceWith(insert);
}

show();
