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

// Only what changed is replaced: the live region stays the element that screen readers watch, and
// buttons and fields keep the focus, the caret and what was typed.
function updatePart(id, page) {
  const before = document.getElementById(id);
  const after = page.getElementById(id);
  if (!before || !after) return false;
  const heard = before.querySelector("[aria-live]");
  const said = after.querySelector("[aria-live]");
  if (!heard || !said) {
    before.replaceWith(after);
    offerCopies();
    return true;
  }
  if (heard.innerHTML !== said.innerHTML) heard.replaceChildren(...said.childNodes);
  before.dataset.smtpAdminFollow = after.dataset.smtpAdminFollow ?? "false";
  before.dataset.smtpAdminFollowUrl = after.dataset.smtpAdminFollowUrl ?? "";
  offerCopies();
  return true;
}

async function submitInPlace(button) {
  const form = button.form;
  const words = button.textContent;
  // Not `disabled`, which would take the focus away.
  button.setAttribute("aria-busy", "true");
  button.setAttribute("aria-disabled", "true");
  button.textContent = button.dataset.busy;
  try {
    const body = new URLSearchParams(new FormData(form));
    const { url, page } = await fetchPage(button.formAction, { method: "POST", body });
    const part = button.dataset.smtpAdminReplace;
    if (updatePart(part, page)) {
      follow(part, url);
    } else {
      form.requestSubmit(button); // signed out, or something else that is a page of its own
    }
  } catch {
    form.requestSubmit(button); // no connection to our own server: let the browser say so
  } finally {
    button.removeAttribute("aria-busy");
    button.removeAttribute("aria-disabled");
    button.textContent = words;
  }
}

// A queued test mail, or a test that a worker runs: look again until there is an answer.
async function follow(part, url) {
  for (let polls = 0; polls < MOST_POLLS; polls += 1) {
    const card = document.getElementById(part);
    if (card?.dataset.smtpAdminFollow !== "true") return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
    try {
      const { page } = await fetchPage(card.dataset.smtpAdminFollowUrl || url);
      if (!updatePart(part, page)) return; // it was forgotten, or somebody signed out
      updatePart("status", page);
    } catch {
      return;
    }
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button[data-smtp-admin-replace]");
  if (!button?.form) return; // one without a form is not ours to submit
  event.preventDefault();
  if (button.getAttribute("aria-busy") !== "true") submitInPlace(button);
});

// Enter in the address of the test mail means its own button, not the form's first one: Save.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing || event.target.id !== "to") return;
  event.preventDefault();
  event.target.closest("#test-mail")?.querySelector("button")?.click();
});

// A documented limit goes straight into its fields, so that nothing typed is lost.
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button[data-smtp-admin-fill]");
  if (!button) return;
  event.preventDefault();
  const more = document.getElementById("more");
  if (more) more.open = true;
  let first = null;
  for (const [name, value] of Object.entries(JSON.parse(button.dataset.smtpAdminFill))) {
    const field = document.getElementById(name);
    if (!field || field.disabled) continue;
    field.value = value;
    first ??= field;
  }
  first?.focus();
});

// Texts are copied with a button where the browser lets a page do that.
function offerCopies() {
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll("button[data-smtp-admin-copy]")) button.hidden = false;
}
offerCopies();
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("button[data-smtp-admin-copy]");
  const source = button && document.getElementById(button.dataset.smtpAdminCopy);
  if (!source) return;
  const words = button.innerHTML;
  try {
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    button.textContent = "Copied";
  } catch {
    // Ready for the person's own Ctrl+C.
    source.closest("details")?.setAttribute("open", "");
    if (source.select) source.select();
    else window.getSelection()?.selectAllChildren(source);
    button.textContent = "Selected";
  }
  setTimeout(() => { button.innerHTML = words; }, 2000);
});

// Another way of sending shows its fields at once; what was typed into a field that both have stays.
for (const choice of document.querySelectorAll("select[data-smtp-admin-reload]")) {
  for (const button of choice.form.querySelectorAll("button")) button.hidden = true;
}
document.addEventListener("change", async (event) => {
  const choice = event.target.closest?.("select[data-smtp-admin-reload]");
  if (!choice) return;
  const part = choice.dataset.smtpAdminReload;
  const url = new URL(choice.form.action);
  url.search = new URLSearchParams([...url.searchParams, ...new FormData(choice.form)]);
  choice.setAttribute("aria-busy", "true");
  try {
    const { page } = await fetchPage(url);
    const typed = typedInto(part);
    if (!updatePart(part, page)) throw new Error("another page came");
    for (const [id, before] of typed) {
      const field = document.getElementById(id);
      if (!field || field.disabled || field.type !== before.type) continue;
      field.value = before.value;
      field.checked = before.checked;
    }
    window.history.replaceState(null, "", url);
  } catch {
    choice.form.submit();
  } finally {
    choice.removeAttribute("aria-busy");
  }
});

function typedInto(part) {
  const fields = document.getElementById(part)?.querySelectorAll("#sender-form [id]") ?? [];
  return [...fields]
    .filter((one) => one.value !== one.defaultValue || one.checked !== one.defaultChecked)
    .filter((one) => "value" in one && one.type !== "hidden" && one.localName !== "button")
    .map((one) => [one.id, { type: one.type, value: one.value, checked: one.checked }]);
}

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
