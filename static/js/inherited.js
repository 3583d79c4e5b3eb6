// Fields that show what is inherited are disabled until somebody takes settings of their own. Without
// this file that needs a save in between.

for (const group of document.querySelectorAll("fieldset[data-smtp-admin-own]")) {
  const own = document.getElementById(group.dataset.smtpAdminOwn);
  const fields = [...group.querySelectorAll("[data-smtp-admin-inherited]")];
  const typed = new Map();

  own?.addEventListener("change", () => {
    for (const field of fields) {
      const inherited = field.dataset.smtpAdminInherited;
      if (field.type === "checkbox") {
        if (!own.checked) typed.set(field, field.checked);
        field.checked = own.checked ? (typed.get(field) ?? field.checked) : inherited === "on";
      } else {
        if (!own.checked) typed.set(field, field.value);
        field.value = own.checked ? (typed.get(field) ?? field.value) : inherited;
      }
    }
    group.disabled = !own.checked;
  });
}
