// Warns before settings that were entered and not saved are left.

const form = () => document.getElementById("sender-form");

function isChanged(field) {
  if (!field.name || field.type === "hidden" || field.id === "to" || field.localName === "button") return false;
  if (field.type === "checkbox") return field.checked !== field.defaultChecked;
  if (field.localName !== "select") return field.value !== field.defaultValue;
  const chosen = [...field.options].findIndex((one) => one.defaultSelected);
  return field.selectedIndex !== Math.max(chosen, 0);
}

let sent = false;
document.addEventListener("submit", () => { sent = true; });
window.addEventListener("pageshow", () => { sent = false; });
window.addEventListener("beforeunload", (event) => {
  const mine = form();
  if (sent || !mine) return;
  // A provider that was chosen, or a test without scripts, brings a form that is changed already.
  if ("smtpAdminChanged" in mine.dataset || [...mine.elements].some(isChanged)) event.preventDefault();
});
