// Keeps a page fresh and sends forms of the phone without a reload.
// Everything here also works without this script, by plain forms.

const PAUSE = 1500;
const phone = document.getElementById("phone");
const chat = document.getElementById("chat");
const friends = document.getElementById("friends");
const log = document.getElementById("log");

let busy = false;

function newsAddress() {
  const query = new URLSearchParams({ channel: document.body.dataset.channel });
  const search = document.querySelector(".search input[type=search]");
  if (search && search.value) query.set("q", search.value);
  if (phone) {
    query.set("friend", phone.dataset.friend);
    query.set("after", phone.dataset.last);
  }
  return `/news?${query}`;
}

// Whether the reader is at the newest message, noted before anything is added.
let atEnd = true;

function toEnd() {
  chat.scrollTop = chat.scrollHeight;
}

function show(news) {
  if (!friends.contains(document.activeElement)) friends.innerHTML = news.friends;
  log.innerHTML = news.log;
  if (!phone) return;
  if (news.state && news.state !== phone.dataset.state) {
    location.reload();
    return;
  }
  if (!news.messages.trim()) return;
  chat.querySelector(".quick")?.remove();
  chat.insertAdjacentHTML("beforeend", news.messages); // escaped by the server
  phone.dataset.last = news.last;
  if (atEnd) toEnd();
}

async function refresh() {
  if (busy || document.hidden) return;
  busy = true;
  try {
    const answer = await fetch(newsAddress());
    if (answer.ok) show(await answer.json());
  } catch {
    // The sandbox is restarting; the next turn finds it again.
  } finally {
    busy = false;
  }
}

async function post(form) {
  const body = new URLSearchParams(new FormData(form));
  try {
    const answer = await fetch(form.action, { method: "POST", body });
    const failed = new URL(answer.url).searchParams.has("error");
    if (failed || !answer.ok) location.assign(answer.url);
  } catch {
    return;
  }
  if (form.matches(".say")) form.reset();
  await refresh();
  toEnd();
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches(".say, .tap")) return;
  event.preventDefault();
  post(event.target);
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard?.writeText(button.dataset.copy);
  button.classList.add("copied");
});

if (friends && log) {
  document.querySelector(".search input[type=search]")?.addEventListener("input", refresh);
  setInterval(refresh, PAUSE);
}
if (chat) {
  toEnd();
  chat.addEventListener("scroll", () => {
    atEnd = chat.scrollHeight - chat.scrollTop - chat.clientHeight < 120;
  });
  // A picture that arrives pushes the newest message down: follow it.
  chat.addEventListener("load", () => atEnd && toEnd(), true);
}
