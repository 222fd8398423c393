// Asks before a step that can't be taken back. Without script the step is just taken.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (button && button.dataset.ask && !window.confirm(button.dataset.ask)) {
    event.preventDefault();
  }
});
