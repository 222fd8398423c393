// Asks before a step that can't be taken back. Without script the step is just taken.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (button && button.dataset.ask && !window.confirm(button.dataset.ask)) {
    event.preventDefault();
  }
});

// After a refused form, whoever fills it in starts where something is wrong.
document.addEventListener("DOMContentLoaded", () => {
  document.querySelector("#content form [aria-invalid='true']")?.focus();
});

// A second press while the first is on its way sends nothing more.
const WAIT = 5000; // ms; a download leaves its form where it is
const underWay = new Set();
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (underWay.has(form)) return event.preventDefault();
  underWay.add(form);
  setTimeout(() => underWay.delete(form), WAIT);
});
window.addEventListener("pageshow", () => underWay.clear());
