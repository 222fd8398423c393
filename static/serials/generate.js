// Asks the server, while somebody types, what the form would make and what is wrong.
const form = document.getElementById("generate");
const pattern = form.elements.pattern;
const prefix = document.getElementById("serials-prefix");
const length = document.getElementById("serials-length");
const MOST = 64;
const PAUSE = 300; // ms without a key
let timer;
let asking;

// --- Prefix and length are another way to look at the pattern ----------------------

function readPattern() {
  const [start] = pattern.value.split("#");
  prefix.value = start;
  length.value = pattern.value.split("#").length - 1;
}

function resized(text, count) {
  const parts = text.split("#");
  const missing = count - (parts.length - 1);
  return missing >= 0 ? text + "#".repeat(missing) : parts.slice(0, count).join("#") + "#";
}

function writePattern() {
  const count = Math.trunc(Number(length.value));
  if (count < 1) return; // being typed
  const first = pattern.value.indexOf("#");
  const last = pattern.value.lastIndexOf("#");
  const random = first < 0 ? "" : pattern.value.slice(first, last + 1);
  const end = first < 0 ? "" : pattern.value.slice(last + 1);
  const start = prefix.value.replaceAll("#", "");
  pattern.value = start + resized(random, Math.min(count, MOST)) + end;
}

// --- What the server says ------------------------------------------------------------

function tell(name, text) {
  const field = form.querySelector(`[data-field="${name}"]`);
  const slot = field.querySelector("[data-error]");
  const input = form.elements[name];
  // What is still empty is not wrong yet, unless somebody has sent it off so.
  if (text && slot.hidden && !input.value) return;
  slot.textContent = text;
  slot.hidden = !text;
  field.classList.toggle("errors", Boolean(text));
  if (text) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
  const told = text ? ` ${slot.id}` : "";
  input.setAttribute("aria-describedby", `${input.id}_helptext${told}`);
}

function show(answer) {
  form.querySelector("[data-panel]").innerHTML = answer.panel;
  form.querySelector("[data-said]").textContent = answer.errors.pattern ?? answer.said;
  for (const field of form.querySelectorAll("[data-field]")) {
    const { field: name } = field.dataset;
    tell(name, answer.errors[name] ?? "");
  }
}

async function ask() {
  asking?.abort();
  asking = new AbortController();
  const filled = new URLSearchParams(new FormData(form));
  filled.delete("csrfmiddlewaretoken");
  let isAway = false;
  try {
    const answer = await fetch(`${form.dataset.url}?${filled}`, { signal: asking.signal });
    if (!answer.ok) throw new Error(String(answer.status));
    show(await answer.json());
  } catch (error) {
    if (error.name === "AbortError") return; // a newer one is on its way
    isAway = true;
  }
  form.querySelector("[data-away]").hidden = !isAway;
  form.querySelector("[data-panel]").hidden = isAway;
}

form.querySelector("[data-helpers]").hidden = false;
form.querySelector("[data-show]").remove();
form.addEventListener("input", (event) => {
  if (event.target === prefix || event.target === length) writePattern();
  else if (event.target === pattern) readPattern();
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE);
});

// One press is one batch; whoever comes back by the browser's button may press again.
const main = form.querySelector('[type="submit"]');
form.addEventListener("submit", () => { main.disabled = true; });
addEventListener("pageshow", () => {
  main.disabled = false;
  readPattern();
});
