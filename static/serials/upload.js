// Makes a drop zone of the file field, and says at once what is wrong with a file.
const form = document.getElementById("upload");
const zone = document.getElementById("drop");
const input = zone.querySelector("input");
const said = form.querySelector("[data-said]");
const words = zone.dataset;
const MEGABYTE = 1024 * 1024;
let isSending = false;

input.hasChangeListener = true; // unfold writes the name into its own widget, which isn't here
zone.classList.add("is-live");

function shownSize(bytes) {
  const isBig = bytes >= MEGABYTE;
  const format = { style: "unit", unit: isBig ? "megabyte" : "kilobyte", maximumFractionDigits: 1 };
  const count = Math.ceil((bytes / (isBig ? MEGABYTE : 1024)) * 10) / 10;
  return new Intl.NumberFormat(document.documentElement.lang, format).format(count);
}

// What keeps the file from being sent; an odd name alone doesn't, the server looks inside.
function problem(file) {
  if (!file) return "";
  if (!file.size) return words.nothing;
  return file.size > Number(words.most) ? words.tooBig : "";
}

function say(text, kind) {
  zone.classList.toggle("is-bad", kind === "bad");
  zone.classList.toggle("is-odd", kind === "odd");
  zone.parentElement.classList.remove("errors"); // what the server said of the last one
  input.setAttribute("aria-invalid", String(kind === "bad"));
  said.textContent = text;
}

function show() {
  const file = input.files[0];
  zone.classList.toggle("has-file", Boolean(file));
  zone.querySelector("[data-empty]").hidden = Boolean(file);
  zone.querySelector("[data-chosen]").hidden = !file;
  zone.querySelector("[data-name]").textContent = file ? file.name : "";
  zone.querySelector("[data-size]").textContent = file ? shownSize(file.size) : "";
  const wrong = problem(file);
  const isOdd = Boolean(file) && !/\.(csv|txt)$/i.test(file.name);
  if (wrong) say(wrong, "bad");
  else if (isOdd) say(words.ending, "odd");
  else say("", "");
}

function take(transfer) {
  const entry = transfer.items[0]?.webkitGetAsEntry?.();
  if (transfer.files.length > 1) say(words.several, "bad");
  else if (entry?.isDirectory) say(words.folder, "bad");
  else if (transfer.files.length) {
    input.files = transfer.files;
    show();
  }
}

function isFile(event) {
  return [...event.dataTransfer.types].includes("Files");
}

input.addEventListener("change", show);

// Beside the zone a dropped file would open in place of this page.
addEventListener("dragover", (event) => {
  if (!isFile(event)) return;
  event.preventDefault();
  const isOver = zone.contains(event.target);
  event.dataTransfer.dropEffect = isOver ? "copy" : "none";
  zone.classList.toggle("is-over", isOver);
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) zone.classList.remove("is-over");
});
addEventListener("drop", (event) => {
  if (!isFile(event)) return;
  event.preventDefault();
  zone.classList.remove("is-over");
  if (zone.contains(event.target)) take(event.dataTransfer);
});

form.addEventListener("submit", (event) => {
  if (isSending || problem(input.files[0])) {
    event.preventDefault();
    input.focus();
    return;
  }
  isSending = Boolean(input.files[0]);
  if (isSending) said.textContent = words.sending;
});
// Back from the next page, with the file still chosen.
addEventListener("pageshow", () => {
  isSending = false;
  if (input.files[0]) show();
});
