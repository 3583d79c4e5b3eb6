// Fetches a page of our own and puts a part of it in the place of the same part here.

export async function fetchPage(url, options = {}) {
  const answer = await fetch(url, {
    ...options,
    headers: { Accept: "text/html" },
    credentials: "same-origin",
  });
  return { url: answer.url, page: new DOMParser().parseFromString(await answer.text(), "text/html") };
}

// What dresses a part after it came: buttons that only work with scripts, for one.
const dressers = [];
export function dress(how) {
  dressers.push(how);
  how(document);
}

// That time passes is no news to read out; that something is due at another time is.
const words = (part) => part.innerHTML.replaceAll(/(<time[^>]*>)[^]*?<\/time>/g, "$1");

// Only what changed is replaced: the live region stays the element that screen readers watch, and
// buttons and fields keep the focus, the caret and what was typed.
export function updatePart(id, page) {
  const before = document.getElementById(id);
  const after = page.getElementById(id);
  if (!before || !after) return false;
  const heard = before.querySelector("[aria-live]");
  const said = after.querySelector("[aria-live]");
  if (!heard || !said) {
    before.replaceWith(after);
    for (const how of dressers) how(after);
    return true;
  }
  if (words(heard) !== words(said)) heard.replaceChildren(...said.childNodes);
  before.dataset.smtpAdminFollow = after.dataset.smtpAdminFollow ?? "false";
  before.dataset.smtpAdminFollowUrl = after.dataset.smtpAdminFollowUrl ?? "";
  for (const how of dressers) how(before);
  return true;
}

// Complaints and advice beside the fields, where they differ from those that stand there.
export function updateNotes(page) {
  for (const after of page.querySelectorAll("[data-smtp-admin-notes]")) {
    const before = document.getElementById(after.id);
    const field = document.getElementById(after.dataset.smtpAdminNotes);
    if (!before || before.innerHTML === after.innerHTML) continue;
    before.replaceChildren(...after.childNodes);
    if ("smtpAdminWrong" in after.dataset) field?.setAttribute("aria-invalid", "true");
    else field?.removeAttribute("aria-invalid");
  }
}
