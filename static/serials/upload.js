// Says at once that a file is too big, before it travels.
const form = document.getElementById("upload");
const input = form.querySelector('input[type="file"]');

function look() {
  const file = input.files[0];
  const isBig = Boolean(file) && file.size > Number(form.dataset.most);
  input.setCustomValidity(isBig ? form.dataset.tooBig : "");
  return !isBig;
}

input.addEventListener("change", () => {
  if (!look()) input.reportValidity();
});
form.addEventListener("submit", (event) => {
  if (look()) return;
  event.preventDefault();
  input.reportValidity();
});
