// Fields of a sender: values that a button fills in, passwords that can be seen or replaced, and
// advice on what was entered, as soon as a field is left.

import { dress, fetchPage, updateNotes, updatePart } from "./parts.js";

// A documented limit, a fix or a better value goes straight into its fields, so that nothing typed
// is lost.
export function fillIn(button) {
  let first = null;
  for (const [name, value] of Object.entries(JSON.parse(button.dataset.smtpAdminFill))) {
    const field = document.getElementById(name);
    if (!field || field.disabled) continue;
    const lid = field.closest("details");
    if (lid) lid.open = true;
    if (field.type === "checkbox") field.checked = value === "true";
    else field.value = value;
    field.dispatchEvent(new Event("change", { bubbles: true }));
    first ??= field;
  }
  return first;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button[data-smtp-admin-fill]");
  if (!button || button.dataset.smtpAdminReplace) return;
  event.preventDefault();
  fillIn(button)?.focus();
});

// A stored password is a line with a button; the empty field opens where another one is wanted.
function openSecret(kept) {
  kept.hidden = true;
  const field = document.getElementById(kept.dataset.smtpAdminKept);
  if (field) field.closest(".smtp-admin-secret").hidden = false;
  return field;
}

dress((part) => {
  // What was typed stays where it is, unless the whole page came anew.
  for (const words of part.querySelectorAll("[data-smtp-admin-typed]")) {
    const names = words.dataset.smtpAdminTyped.split(" ");
    if (names.every((name) => document.getElementById(name)?.value)) words.remove();
  }
  for (const words of part.querySelectorAll("[data-smtp-admin-without-scripts]")) words.remove();
  for (const kept of part.querySelectorAll("[data-smtp-admin-kept]")) {
    const field = document.getElementById(kept.dataset.smtpAdminKept);
    if (!field || field.value || field.getAttribute("aria-invalid") === "true") continue;
    kept.hidden = false;
    field.closest(".smtp-admin-secret").hidden = true;
  }
  for (const button of part.querySelectorAll("[data-smtp-admin-show]")) button.hidden = false;
});

document.addEventListener("click", (event) => {
  const replace = event.target.closest?.("[data-smtp-admin-kept] button");
  if (replace) openSecret(replace.closest("[data-smtp-admin-kept]"))?.focus();
  const show = event.target.closest?.("[data-smtp-admin-show]");
  const field = show && document.getElementById(show.dataset.smtpAdminShow);
  if (!field) return;
  const shown = field.type === "password";
  field.type = shown ? "text" : "password";
  show.setAttribute("aria-pressed", String(shown));
});

// Of the fields for signing in those are shown that belong to the chosen way; the password belongs
// to the one without a name. What is wrong stays in sight.
function showWay() {
  const way = document.getElementById("sign_in");
  if (!way) return;
  for (const part of document.querySelectorAll("[data-smtp-admin-ways]")) {
    const known = part.dataset.smtpAdminKnown?.split(" ").includes(way.value);
    const asked = !known || part.querySelector("input")?.value; // another one than the vendor's
    const mine = asked && part.dataset.smtpAdminWays.split(" ").includes(way.value);
    part.hidden = !mine && !part.querySelector("[aria-invalid=true]");
  }
  const lid = way.closest("details");
  if (way.value && lid) lid.open = true;
}
dress(showWay);
for (const name of ["input", "change"]) {
  document.addEventListener(name, (event) => {
    if (event.target.id === "sign_in") showWay();
  });
}

// What to do for that way, as the page would say it after it was saved. While the way is the same
// its buttons stay: somebody may be pressing one.
function updateGuidance(page) {
  const before = document.getElementById("oauth-guidance");
  const after = page.getElementById("oauth-guidance");
  if (before?.dataset.smtpAdminWay !== after?.dataset.smtpAdminWay) {
    updatePart("oauth-guidance", page);
    return;
  }
  const commands = page.getElementById("oauth-commands");
  if (commands) document.getElementById("oauth-commands").value = commands.value;
}

// It is only ever sent where it was saved for: other settings need it once more.
function openBound(event) {
  for (const kept of document.querySelectorAll("[data-smtp-admin-bound]")) {
    if (kept.hidden || !kept.dataset.smtpAdminBound.split(" ").includes(event.target.id)) continue;
    const field = openSecret(kept);
    const hint = document.getElementById(`${field.id}-hint`);
    if (hint) hint.textContent = kept.dataset.smtpAdminMoved;
    field.placeholder = "";
  }
}
document.addEventListener("input", openBound);
document.addEventListener("change", openBound);

// Nobody waits for advice, and the newest answer counts.
let asked = 0;
export async function advise() {
  const form = document.querySelector("form[data-smtp-admin-advice]");
  if (!form) return;
  asked += 1;
  const mine = asked;
  try {
    const body = new URLSearchParams(new FormData(form));
    const { page } = await fetchPage(form.dataset.smtpAdminAdvice, { method: "POST", body });
    if (mine !== asked) return;
    updateNotes(page);
    updateGuidance(page);
  } catch {
    // It comes with the next save.
  }
}
document.addEventListener("change", (event) => {
  if (event.target.form?.matches("[data-smtp-admin-advice]") && event.target.id !== "to") advise();
});

// What was chosen before this file was there, or is kept by the browser over a reload.
const chosen = document.getElementById("sign_in");
const given = chosen && ([...chosen.options].find((one) => one.defaultSelected) ?? chosen.options[0]);
if (given && chosen.value !== given.value) advise();
