// Sends each scan without leaving the page, and keeps the field ready for the next one.
// Without this file the form posts and the answer is a page of its own.

const DEADLINE = 10_000; // milliseconds
const SECOND_ENTER = 1_000; // milliseconds; some scanners end with two
const REGIONS = ["answer", "today", "problem"];

const form = document.querySelector("#scan");
const field = form.elements.text;
let sent = null; // the text under way
let answeredAt = -Infinity;

function show(name, region = "answer") {
  const copy = document.querySelector(`template#${name}`).content.cloneNode(true);
  document.getElementById(region).replaceChildren(copy);
}

function ready() {
  field.focus();
  field.select();
}

// The answer's page brings the nonce of the next scan with it. Until an answer has
// come, the old nonce stays, so that trying again is the same scan.
function renew(page) {
  for (const id of REGIONS) {
    const fresh = page.getElementById(id);
    document.getElementById(id).replaceChildren(...fresh.childNodes);
  }
  for (const name of ["nonce", "csrfmiddlewaretoken"]) {
    form.elements[name].value = page.querySelector(`#scan [name=${name}]`).value;
  }
  field.ariaInvalid = page.querySelector("#text").ariaInvalid;
  document.title = page.title;
}

// What was mistyped can be mended; a link is a customer's secret and goes at once.
function isWorthKeeping(text) {
  const reason = document.querySelector("#answer [data-reason]")?.dataset.reason;
  return (!reason || reason === "invalid") && !text.includes("/");
}

function tidy(text) {
  if (field.value.trim() !== text) {
    show("unsent", "problem");
  } else if (!isWorthKeeping(text)) {
    field.value = "";
  }
}

function feel() {
  const tone = document.querySelector("#answer [data-tone]")?.dataset.tone;
  navigator.vibrate?.(tone === "go" ? 60 : [90, 60, 90]);
}

async function ask() {
  const response = await fetch(form.action, {
    method: "POST",
    body: new URLSearchParams(new FormData(form)),
    signal: AbortSignal.timeout(DEADLINE),
  });
  return [response, await response.text()];
}

function take(response, html, text) {
  const page = new DOMParser().parseFromString(html, "text/html");
  if (!page.querySelector("#scan")) {
    location.assign(response.url); // signed out, or no longer at this store
    return;
  }
  renew(page);
  if (response.redirected) history.replaceState(null, "", response.url);
  tidy(text);
  feel();
}

async function send(text) {
  sent = text;
  document.querySelector("#problem").replaceChildren();
  show("checking"); // so that the last answer can't pass for this one's
  ready();
  const [response, html] = await ask().catch(() => []);
  if (!response) show("offline");
  else if (response.status >= 500) show("busy");
  else take(response, html, text);
  sent = null;
  answeredAt = performance.now();
  ready();
}

function onSubmit(event) {
  event.preventDefault();
  const text = field.value.trim();
  const isSecondEnter = !text && performance.now() - answeredAt < SECOND_ENTER;
  if (sent === null && !isSecondEnter) send(text);
}

// A scanner types wherever the focus is; what it types belongs in the field.
function onKey(event) {
  const isText = event.key.length === 1 && event.key !== " ";
  const isShortcut = event.ctrlKey || event.metaKey || event.altKey;
  if (isText && !isShortcut && event.target !== field) ready();
}

if (AbortSignal.timeout) {
  form.noValidate = true; // the server's words, not the browser's
  form.addEventListener("submit", onSubmit);
}
document.addEventListener("keydown", onKey);
window.addEventListener("focus", () => field.focus());
// A page from the browser's memory holds the nonce of a scan that is over.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
