// The phone beside the campaign form: draws each change without saving it. The server
// draws; this sends it the form and puts the answer in place.
const box = document.querySelector("[data-preview]");
const form = box && document.getElementById(box.dataset.form);
const WAIT = 300; // milliseconds after the last change
const STANDS_FOR = "data:,unsaved-image"; // where the answer wants the picture just chosen
const SECRETS = ["new_password", "new_password_again", "forget_password"];

let timer = 0;
let asking = null; // what is under way
let image = ""; // the chosen picture, as the server has drawn it
let imageSent = ""; // which file and crop that was
let imageWrong = ""; // what the server said of it, while it stays

// --- what is sent ------------------------------------------------------------------------

// Its file, and the fields that say how it is cut.
function imageNow() {
  const file = form.elements.image?.files?.[0];
  if (!file) return "";
  const cut = [...new FormData(form)].filter(([name, value]) => /crop|^image/.test(name) && typeof value === "string");
  return JSON.stringify([file.name, file.size, file.lastModified, cut]);
}

function data() {
  const sent = new FormData(form);
  const chosen = new FormData(box.querySelector("form"));
  for (const name of SECRETS) sent.delete(name);
  sent.set("preview_state", chosen.get("state"));
  sent.set("preview_lang", chosen.get("lang"));
  const now = imageNow();
  if (!now || now === imageSent) {
    sent.delete("image");
    if (now && image) sent.set("preview_image", "kept");
  }
  return sent;
}

// --- what comes back ---------------------------------------------------------------------

function put(selector, html) {
  for (const place of document.querySelectorAll(selector)) {
    if (place.innerHTML.trim() !== html) place.innerHTML = html;
  }
}

function openOnes(page) {
  return [...page.querySelectorAll("details")].map((part) => part.open);
}

// Nothing in the phone leads anywhere, or sends anything.
function tame(page) {
  page.addEventListener("click", (event) => {
    if (event.target.closest("a, button")) event.preventDefault();
  });
}

// A new frame behind the old one takes its place once it is drawn: nothing flickers, and
// the Back button knows nothing of it.
function showPage(html) {
  const phone = box.querySelector("[data-phone]");
  const fresh = document.createElement("iframe");
  fresh.title = box.querySelector("h2").textContent;
  fresh.setAttribute("sandbox", "allow-same-origin");
  fresh.className = "is-coming";
  fresh.srcdoc = html;
  fresh.addEventListener("load", () => {
    if (!fresh.isConnected) return;
    const old = phone.querySelector("iframe:not(.is-coming)");
    const page = fresh.contentDocument;
    tame(page);
    if (old?.contentDocument && old.dataset.state === fresh.dataset.state) {
      const were = openOnes(old.contentDocument);
      [...page.querySelectorAll("details")].forEach((part, i) => { part.open = were[i] ?? part.open; });
      fresh.contentWindow.scrollTo(0, old.contentWindow.scrollY);
    }
    fresh.classList.remove("is-coming");
    old?.remove();
    box.dataset.drawn = String(Number(box.dataset.drawn ?? 0) + 1);
  });
  fresh.dataset.state = new FormData(box.querySelector("form")).get("state");
  for (const late of phone.querySelectorAll(".is-coming")) late.remove();
  phone.append(fresh);
}

function show(answer, sentImage) {
  if (sentImage) {
    imageSent = sentImage;
    image = answer.image;
    imageWrong = answer.image ? "" : answer.ignored;
  } else if (!imageNow()) {
    image = imageSent = imageWrong = "";
  }
  showPage(image ? answer.page.replaceAll(STANDS_FOR, image) : answer.page);
  put("[data-timeline]", answer.timeline);
  for (const place of document.querySelectorAll("[data-note]")) {
    put(`[data-note="${place.dataset.note}"]`, answer.notes[place.dataset.note] ?? "");
  }
  put("[data-ignored]", answer.ignored || imageWrong);
  say("");
}

function say(words) {
  const said = box.querySelector("[data-said]");
  if (said.textContent !== words) said.textContent = words;
}

// --- asking ------------------------------------------------------------------------------

async function draw() {
  asking?.abort();
  const mine = new AbortController();
  asking = mine;
  const body = data();
  const sentImage = body.has("image") && imageNow() ? imageNow() : "";
  if (!sentImage) body.delete("image");
  try {
    const response = await fetch(box.dataset.url, { method: "POST", body, signal: mine.signal });
    if (!response.headers.get("Content-Type")?.includes("json")) {
      say(response.redirected ? box.dataset.signedOut : box.dataset.gone);
      return;
    }
    const answer = await response.json();
    if (asking === mine) show(answer, sentImage);
  } catch (error) {
    if (error.name !== "AbortError") say(box.dataset.gone);
  }
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(draw, WAIT);
}

// On a narrow screen the phone stays shut until somebody asks for it.
function fit(narrow) {
  box.querySelector(".pv-box").open = !narrow.matches;
}

if (form && box.dataset.url) {
  box.classList.add("is-live");
  const narrow = matchMedia("(max-width: 1099px)");
  fit(narrow);
  narrow.addEventListener("change", fit);
  // Whoever writes in another language wants to see that one.
  form.elements.language?.addEventListener("change", () => {
    box.querySelector("[name=lang]").value = form.elements.language.value;
  });
  form.addEventListener("input", soon);
  form.addEventListener("change", soon);
  // What select2 and the pop-ups change is told through jQuery alone.
  window.django?.jQuery?.(form).on("change", soon);
  form.addEventListener("reset", soon);
  box.querySelector("form").addEventListener("change", draw);
  box.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    draw();
  });
  draw();
} else if (box) {
  // Somebody who may only look: the saved page, drawn at its own address.
  const phone = box.querySelector("[data-phone]");
  const choice = box.querySelector("form");
  const frame = document.createElement("iframe");
  frame.title = box.querySelector("h2").textContent;
  frame.setAttribute("sandbox", "allow-same-origin");
  const look = () => {
    frame.contentWindow
      ? frame.contentWindow.location.replace(`${choice.action}?${new URLSearchParams(new FormData(choice))}`)
      : (frame.src = `${choice.action}?${new URLSearchParams(new FormData(choice))}`);
  };
  box.classList.add("is-live");
  look();
  phone.append(frame);
  choice.addEventListener("change", look);
}
