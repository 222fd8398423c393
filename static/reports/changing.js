// Moves the bar of the coupons' new ends; once all have theirs, says so.
const box = document.querySelector("[data-ends]");
const bar = box.querySelector("progress");
const numbers = new Intl.NumberFormat(document.documentElement.lang);

async function look() {
  let now;
  try {
    const answer = await fetch(box.dataset.ends, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(String(answer.status));
    now = await answer.json();
  } catch {
    setTimeout(look, 5000); // away for a moment; the work goes on without us
    return;
  }
  // Not by loading the page again: somebody may be filling in its form.
  bar.value = now.state === "done" ? bar.max : now.done;
  box.querySelector("[data-done]").textContent = numbers.format(bar.value);
  if (now.state !== "done") setTimeout(look, 2000);
}

setTimeout(look, 1000);
