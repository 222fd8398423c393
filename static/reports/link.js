// A press into the link's field selects all of it, to be copied. Without script it is
// selected by hand.
const field = document.getElementById("link");

field.addEventListener("focus", () => field.select());
field.addEventListener("click", () => field.select());

const button = document.getElementById("copy");

if (navigator.clipboard) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(field.value);
    button.textContent = button.dataset.done;
  });
}
