// A list whose choice changes the form: another sending method, a provider, a region. Without this
// file a button beside it does the same.

import { dress, fetchPage, updatePart } from "./parts.js";

dress(() => {
  for (const choice of document.querySelectorAll("select[data-smtp-admin-reload]")) {
    for (const button of choice.form.querySelectorAll("button")) button.hidden = true;
  }
});

document.addEventListener("change", async (event) => {
  const choice = event.target.closest?.("select[data-smtp-admin-reload]");
  if (!choice) return;
  const part = choice.dataset.smtpAdminReload;
  const filled = (choice.dataset.smtpAdminFills ?? "").split(" ");
  const url = new URL(choice.form.action);
  url.search = new URLSearchParams([...url.searchParams, ...new FormData(choice.form)]);
  choice.setAttribute("aria-busy", "true");
  try {
    const { page } = await fetchPage(url);
    const typed = typedInto(part);
    if (!updatePart(part, page)) throw new Error("another page came");
    updatePart("lead", page);
    for (const [id, before] of typed) {
      const field = document.getElementById(id);
      if (!field || field.disabled || field.type !== before.type || filled.includes(id)) continue;
      field.value = before.value;
      field.checked = before.checked;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
    // Not where the tab stands inside a page of the host.
    if (url.pathname === window.location.pathname) window.history.replaceState(null, "", url);
    document.getElementById(choice.id)?.focus({ preventScroll: true });
  } catch {
    choice.form.submit();
  } finally {
    choice.removeAttribute("aria-busy");
  }
});

// What was typed into a field that both pages have stays.
function typedInto(part) {
  const fields = document.getElementById(part)?.querySelectorAll("#sender-form [id]") ?? [];
  return [...fields]
    .filter((one) => one.value !== one.defaultValue || one.checked !== one.defaultChecked)
    .filter((one) => "value" in one && one.type !== "hidden" && one.localName !== "button")
    .map((one) => [one.id, { type: one.type, value: one.value, checked: one.checked }]);
}
