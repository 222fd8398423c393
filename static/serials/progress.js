// Moves the bar; once the state is another one, the server draws the new page.
const box = document.getElementById("progress");
const bar = box.querySelector("progress");
const numbers = new Intl.NumberFormat(document.documentElement.lang);
const SLOW_AFTER = 20; // looks without a change
let same = 0;

async function look() {
  let now;
  try {
    const answer = await fetch(box.dataset.url, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(String(answer.status));
    now = await answer.json();
  } catch {
    setTimeout(look, 5000); // away for a moment; the work goes on without us
    return;
  }
  if (now.state !== box.dataset.state) {
    location.reload();
    return;
  }
  same = now.done === bar.value ? same + 1 : 0;
  bar.max = now.total;
  bar.value = now.done;
  box.querySelector("[data-done]").textContent = numbers.format(now.done);
  box.querySelector("[data-total]").textContent = numbers.format(now.total);
  box.querySelector("[data-slow]").hidden = same < SLOW_AFTER;
  setTimeout(look, 1000);
}

setTimeout(look, 700);
