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
