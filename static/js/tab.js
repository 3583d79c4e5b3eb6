// The SMTP tab works without this file: its buttons submit the form, and the page comes back with
// the result. Here the same answer is fetched, and only the part that changed is put in its place.

import { fillIn } from "./fields.js";
import { dress, fetchPage, updateNotes, updatePart } from "./parts.js";
import "./leaving.js";
import "./reload.js";
import { testing } from "./tested.js";
import "./times.js";

// A worker takes seconds, a mail that somebody has to find in a mailbox takes minutes.
const OFTEN = { polls: 60, milliseconds: 1000 };
const SELDOM = { polls: 60, milliseconds: 10000 };

async function submitInPlace(button) {
  const form = button.form;
  const words = button.textContent;
  // Not `disabled`, which would take the focus away.
  button.setAttribute("aria-busy", "true");
  button.setAttribute("aria-disabled", "true");
  button.textContent = button.dataset.busy;
  try {
    const body = new URLSearchParams(new FormData(form));
    if (button.dataset.smtpAdminReplace === "connection-test") testing();
    const { url, page } = await fetchPage(button.formAction, { method: "POST", body });
    const part = button.dataset.smtpAdminReplace;
    if (stay(part, page)) return;
    if (updatePart(part, page)) {
      updateNotes(page);
      updateLead(page);
      renameForm(part, page);
      showFailure(part);
      follow(part, url);
    } else {
      form.requestSubmit(button); // something that is a page of its own
    }
  } catch {
    form.requestSubmit(button); // no connection to our own server: let the browser say so
  } finally {
    button.removeAttribute("aria-busy");
    button.removeAttribute("aria-disabled");
    button.textContent = words;
  }
}

// Signed out, or open for too long: what was typed stays, passwords too, with what to do about it and
// a token that is good again.
function stay(part, page) {
  const note = page.querySelector("[data-smtp-admin-unsent]");
  const heard = document.querySelector(`#${part} [aria-live]`);
  if (!note || !heard) return false;
  note.querySelector("[data-smtp-admin-typed]")?.remove();
  heard.replaceChildren(note);
  const token = page.querySelector("input[name=csrf_token]")?.value;
  if (token) for (const one of document.querySelectorAll("input[name=csrf_token]")) one.value = token;
  note.scrollIntoView({ block: "nearest" });
  return true;
}

// The steps to the first mail go once they are done.
function updateLead(page) {
  if (!updatePart("lead", page)) document.getElementById("lead")?.remove();
}

// What is sent next is another mail: see smtp_admin/pages/sent_once.py.
function renameForm(part, page) {
  const [before, after] = [document, page].map((one) => one.querySelector(`#${part} input[name=once]`));
  if (before && after) before.value = after.value;
}

// On a phone the answer may stand below what can be seen.
function showFailure(part) {
  const failed = document.querySelector(`#${part} [aria-live] .smtp-admin-note--bad`);
  failed?.scrollIntoView({ block: "nearest" });
}

// A test mail, or a test that a worker runs: look again until there is an answer. Of one part only the
// newest is followed.
const newest = {};
async function follow(part, url) {
  const mine = (newest[part] = {});
  for (let polls = 0; polls < OFTEN.polls + SELDOM.polls; polls += 1) {
    const card = document.getElementById(part);
    if (card?.dataset.smtpAdminFollow !== "true") return;
    const { milliseconds } = polls < OFTEN.polls ? OFTEN : SELDOM;
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    if (newest[part] !== mine) return;
    try {
      const { page } = await fetchPage(card.dataset.smtpAdminFollowUrl || url);
      if (newest[part] !== mine) return;
      if (!updatePart(part, page)) return; // it was forgotten, or somebody signed out
      updatePart("status", page);
      if (part === "test-mail") updateLead(page);
    } catch {
      return;
    }
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button[data-smtp-admin-replace]");
  if (!button?.form) return; // one without a form is not ours to submit
  event.preventDefault();
  if (button.getAttribute("aria-busy") === "true") return;
  if (button.dataset.smtpAdminFill) fillIn(button);
  submitInPlace(button);
});

// Enter in the address of the test mail means its own button, not the form's first one: Save.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing || event.target.id !== "to") return;
  event.preventDefault();
  event.target.closest("#test-mail")?.querySelector("button")?.click();
});

// Texts are copied with a button where the browser lets a page do that.
dress((part) => {
  if (!navigator.clipboard) return;
  for (const button of part.querySelectorAll("button[data-smtp-admin-copy]")) button.hidden = false;
});
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("button[data-smtp-admin-copy]");
  const source = button && document.getElementById(button.dataset.smtpAdminCopy);
  if (!source) return;
  const words = button.innerHTML;
  try {
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    button.textContent = button.dataset.copied;
  } catch {
    // Ready for the person's own Ctrl+C.
    source.closest("details")?.setAttribute("open", "");
    if (source.select) source.select();
    else window.getSelection()?.selectAllChildren(source);
    button.textContent = button.dataset.selected;
  }
  setTimeout(() => { button.innerHTML = words; }, 2000);
});

// A form that takes its time says so until the next page comes.
document.addEventListener("submit", (event) => {
  const button = event.submitter ?? event.target.querySelector("button");
  if (!button?.dataset.busy || button.dataset.smtpAdminReplace) return;
  if (button.getAttribute("aria-busy") === "true") {
    event.preventDefault();
    return;
  }
  button.dataset.words = button.textContent;
  button.setAttribute("aria-busy", "true");
  button.textContent = button.dataset.busy;
});
// Going back may bring the old page as it was.
window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button[data-words]")) {
    button.textContent = button.dataset.words;
    button.removeAttribute("aria-busy");
    delete button.dataset.words;
  }
});

for (const part of ["test-mail", "connection-test"]) follow(part, window.location.href);
