import { dress } from "./parts.js";

// Moments in the viewer's own zone and manner; UTC stays in the title.
export function showTimes(root) {
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

dress(showTimes);
