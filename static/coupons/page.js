// The coupon page's clock, time left, Copy and forms. Without this file the page says and
// does the same, standing still.

const ONCE_MORE = 10_000; // milliseconds until a press that got no answer may be repeated

const data = JSON.parse(document.getElementById("page-data").textContent);
const left = document.getElementById("left");
const clock = document.getElementById("clock");
const password = document.getElementById("password");

// The phone's clock may be wrong, so only the time since the answer came is counted on
// it. One of its two clocks stands still while some phones sleep: the longer time holds.
const arrived = performance.getEntriesByType("navigation")[0]?.responseStart ?? 0;
const arrivedOn = Date.now() - (performance.now() - arrived);

function now() {
  return data.now + Math.max(performance.now() - arrived, Date.now() - arrivedOn);
}

function two(number) {
  return String(number).padStart(2, "0");
}

function words(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}

function isOver() {
  for (const part of document.querySelectorAll("[data-live]")) part.hidden = true;
  document.getElementById("over").hidden = false;
}

// A screen reader is told at a few marks only.
function tell(seconds) {
  const said = data.announced[seconds];
  if (said) document.getElementById("heard").textContent = said;
}

function countDown() {
  const seconds = Math.ceil((data.until - now()) / 1000);
  if (seconds <= 0) return isOver();
  left.textContent = words(seconds);
  tell(seconds);
}

function tick() {
  const at = now();
  if (clock) {
    const local = new Date(at + data.offset * 1000);
    clock.textContent = local.toISOString().slice(11, 19);
  }
  if (left && data.until) countDown();
  setTimeout(tick, 1000 - (at % 1000));
}

async function copy() {
  const serial = document.getElementById("serial");
  try {
    await navigator.clipboard.writeText(serial.textContent);
  } catch {
    getSelection().selectAllChildren(serial);
    document.execCommand("copy");
  }
  document.getElementById("copied").textContent = data.copied;
  document.getElementById("copy").textContent = data.copied;
}

// Fetched ahead of time is not seen.
function whenSeen(act) {
  if (document.prerendering) {
    document.addEventListener("prerenderingchange", () => whenSeen(act), { once: true });
  } else if (document.hidden) {
    document.addEventListener("visibilitychange", () => whenSeen(act), { once: true });
  } else {
    act();
  }
}

function tellOpened() {
  const body = new URLSearchParams({ form_token: data.form_token });
  fetch(data.opened, { method: "POST", body, keepalive: true }).catch(() => {});
}

function onSubmit(event) {
  const button = event.target.querySelector("button");
  button.disabled = true;
  setTimeout(() => { button.disabled = false; }, ONCE_MORE);
  setTimeout(clear); // once it is on its way
}

function clear() {
  if (password) password.value = "";
}

// On a small screen the question opens below the edge.
function showQuestion(event) {
  if (event.target.open) event.target.querySelector("form").scrollIntoView({ block: "nearest" });
}

// What a press came to stands at an address of its own: a reload there would send the
// press again, another try of the password.
function leavePress() {
  const page = new URL(data.page, location.href);
  if (location.pathname !== page.pathname) history.replaceState(history.state, "", page);
}

// Some browsers leave autofocus be.
function focusProblem() {
  const wrong = document.querySelector("[autofocus]");
  if (wrong && document.activeElement !== wrong) wrong.focus();
}

if (clock || (left && data.until)) tick();
if (data.opened) whenSeen(tellOpened);
leavePress();
focusProblem();
for (const form of document.querySelectorAll("form")) form.addEventListener("submit", onSubmit);
for (const question of document.querySelectorAll("details.redeem")) {
  question.addEventListener("toggle", showQuestion);
}
const button = document.getElementById("copy");
if (button) {
  button.hidden = false;
  button.addEventListener("click", copy);
}
// A page from the browser's memory may be of yesterday; offline it is all there is.
window.addEventListener("pageshow", (event) => {
  clear();
  if (event.persisted && navigator.onLine) location.reload();
});
