// The SMTP tab works without this file: its buttons submit the form, and the page comes back with
// the result. Here the same answer is fetched, and only the part that changed is put in its place.

const POLL_MILLISECONDS = 1000;
const MOST_POLLS = 60;

async function fetchPage(url, options = {}) {
  const answer = await fetch(url, {
    ...options,
    headers: { Accept: "text/html" },
    credentials: "same-origin",
  });
  return { url: answer.url, page: new DOMParser().parseFromString(await answer.text(), "text/html") };
}

function replacePart(id, page) {
  const before = document.getElementById(id);
  const after = page.getElementById(id);
  if (!before || !after) return false;
  before.replaceWith(document.adoptNode(after));
  return true;
}

async function submitInPlace(button) {
  const form = button.form;
  const id = button.dataset.smtpAdminReplace;
  const words = button.textContent;
  button.setAttribute("aria-busy", "true");
  button.disabled = true;
  button.textContent = button.dataset.busy;
  try {
    const body = new URLSearchParams(new FormData(form));
    const { url, page } = await fetchPage(button.formAction, { method: "POST", body });
    if (!replacePart(id, page)) {
      form.requestSubmit(button); // signed out, or something else that is a page of its own
      return;
    }
    document.querySelector(`#${id} button`)?.focus();
    follow(url);
  } catch {
    // No connection to our own server: let the browser say so.
    button.disabled = false;
    button.removeAttribute("aria-busy");
    button.textContent = words;
    form.requestSubmit(button);
  }
}

// A queued test mail: look again until it has arrived somewhere.
async function follow(url) {
  for (let polls = 0; polls < MOST_POLLS; polls += 1) {
    const card = document.getElementById("test-mail");
    if (card?.dataset.smtpAdminFollow !== "true") return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
    try {
      const { page } = await fetchPage(url);
      const focused = document.activeElement?.closest("#test-mail") ? document.activeElement.id : "";
      const typed = document.getElementById("to")?.value;
      replacePart("test-mail", page);
      replacePart("status", page);
      const to = document.getElementById("to");
      if (to && typed !== undefined) to.value = typed;
      if (focused) document.getElementById(focused)?.focus();
    } catch {
      return;
    }
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button[data-smtp-admin-replace]");
  // A busy button was already pressed; one without a form is not ours to submit.
  if (!button?.form || button.getAttribute("aria-busy") === "true") return;
  event.preventDefault();
  submitInPlace(button);
});

follow(window.location.href);
