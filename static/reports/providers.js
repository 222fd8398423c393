// Moves the bars and the numbers; when a state is another one, the server draws anew.
const numbers = new Intl.NumberFormat(document.documentElement.lang);

async function look(card) {
  let now;
  try {
    const answer = await fetch(card.dataset.card, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(String(answer.status));
    now = await answer.json();
  } catch {
    setTimeout(look, 5000, card); // away for a moment; the work goes on without us
    return;
  }
  if (now.version !== card.dataset.version) {
    drawAnew();
    return;
  }
  const bar = card.querySelector("progress[max]");
  if (bar) {
    bar.max = Math.max(now.total, 1);
    bar.value = now.done;
  }
  for (const place of card.querySelectorAll("[data-number]")) {
    place.textContent = numbers.format(now[place.dataset.number]);
  }
  setTimeout(look, 1000, card);
}

// Not while somebody is typing a code to find.
function drawAnew() {
  if (document.activeElement?.matches("input, select, textarea")) {
    setTimeout(drawAnew, 1000);
    return;
  }
  location.reload();
}

for (const card of document.querySelectorAll("[data-card]")) setTimeout(look, 700, card);
