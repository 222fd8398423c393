// The Copy button beside the webhook address. Without script, or on a page that may not
// use the clipboard, the field is there to select.
document.addEventListener("DOMContentLoaded", () => {
  for (const button of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) continue;
    const field = document.getElementById(button.dataset.copy);
    const words = button.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(field.value);
        button.textContent = button.dataset.done;
        setTimeout(() => { button.textContent = words; }, 2000);
      } catch {
        field.select();
      }
    });
  }
});
