// Moves the bar and the numbers; when the state is another one, the server draws anew.
const box = document.getElementById("progress");
const bar = box.querySelector("progress");
const numbers = new Intl.NumberFormat(document.documentElement.lang);

async function look() {
  let now;
  try {
    const answer = await fetch(box.dataset.url, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(String(answer.status));
    now = await answer.json();
  } catch {
    setTimeout(look, 5000); // away for a moment; sending goes on without us
    return;
  }
  if (now.state !== box.dataset.state || !now.is_working) {
    location.reload();
    return;
  }
  if (now.state !== "preparing") {
    bar.max = Math.max(now.total, 1);
    bar.value = now.settled;
  }
  for (const place of box.querySelectorAll("[data-number]")) {
    place.textContent = numbers.format(now[place.dataset.number]);
  }
  setTimeout(look, 1000);
}

setTimeout(look, 700);
