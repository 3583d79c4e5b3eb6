// Lists and times work without this file: times are in UTC then, and mails are ticked one by one.

// Moments in the viewer's own zone and manner; UTC stays in the title.
function showTimes(root = document) {
  const today = new Date().toDateString();
  for (const one of root.querySelectorAll("time[data-smtp-admin-time]")) {
    const at = new Date(one.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const form = { hour: "2-digit", minute: "2-digit" };
    if (one.dataset.smtpAdminTime === "exact") form.second = "2-digit";
    if (at.toDateString() !== today) {
      form.day = "numeric";
      form.month = "short";
      if (at.getFullYear() !== new Date().getFullYear()) form.year = "numeric";
    }
    one.textContent = new Intl.DateTimeFormat(undefined, form).format(at);
  }
}

// One box that ticks all of a name in its form, and shows when only some are ticked.
function offerTickAll() {
  for (const all of document.querySelectorAll("[data-smtp-admin-tick-all]")) {
    const name = all.dataset.smtpAdminTickAll;
    const boxes = [...(all.form?.elements ?? [])].filter((one) => one.name === name);
    const look = () => {
      const ticked = boxes.filter((one) => one.checked).length;
      all.checked = ticked === boxes.length;
      all.indeterminate = ticked > 0 && ticked < boxes.length;
    };
    all.hidden = false;
    all.addEventListener("change", () => boxes.forEach((one) => (one.checked = all.checked)));
    boxes.forEach((one) => one.addEventListener("change", look));
    look();
  }
}

showTimes();
offerTickAll();
