// A customer's page says without this file when the next reminder can be asked for. With it, the
// time that is left counts down, and the button can be used as soon as it is over.

function inWords(seconds) {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const two = (number) => String(number).padStart(2, "0");
  return `${hours}:${two(minutes)}:${two(seconds % 60)}`;
}

function follow(box) {
  // Counted from now on: the clock here may be wrong, the server's is not.
  const until = Date.now() + Number(box.dataset.smtpAdminSeconds) * 1000;
  const timer = box.querySelector("[role=timer]");
  const button = box.querySelector("button");
  if (Number.isNaN(until) || !timer) return;

  function tick() {
    const left = Math.ceil((until - Date.now()) / 1000);
    if (left > 0) {
      timer.textContent = timer.dataset.words.replace("{}", inWords(left));
      setTimeout(tick, 1000);
      return;
    }
    for (const words of box.querySelectorAll(".smtp-admin-remind-why, .smtp-admin-remind-when")) words.remove();
    button?.removeAttribute("disabled");
    button?.classList.add("smtp-admin-button--main");
  }
  tick();
}

for (const box of document.querySelectorAll("[data-smtp-admin-seconds]")) follow(box);
