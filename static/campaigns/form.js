// The campaign form: its parts as tabs, and only the fields that matter. Without this file
// all parts stand one below the other, and all fields are there.
const root = document.querySelector("[data-tabs]");
const form = root?.closest("form");

// --- tabs --------------------------------------------------------------------------------

const links = root ? [...root.querySelectorAll(".cf-tabs a")] : [];
const panels = links.map((link) => document.getElementById(link.hash.slice(1)));

function show(n, { isAsked = true } = {}) {
  links.forEach((link, i) => {
    link.setAttribute("aria-selected", String(i === n));
    link.tabIndex = i === n ? 0 : -1;
    panels[i].hidden = i !== n;
  });
  if (isAsked) history.replaceState(history.state, "", links[n].hash);
}

function showWith(element) {
  const n = panels.findIndex((panel) => panel.contains(element));
  if (n >= 0) show(n);
  element.closest("details")?.setAttribute("open", "");
}

function goTo(id) {
  const field = document.getElementById(id) ?? document.getElementById(`${id}_0`);
  if (!field) return;
  showWith(field);
  field.focus();
}

function turn(event) {
  const n = links.indexOf(event.currentTarget);
  const to = {
    ArrowRight: (n + 1) % links.length,
    ArrowLeft: (n - 1 + links.length) % links.length,
    Home: 0,
    End: links.length - 1,
    " ": n,
  }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  show(to);
  links[to].focus();
}

function makeTabs() {
  root.classList.add("is-live");
  root.querySelector(".cf-tabs").setAttribute("role", "tablist");
  links.forEach((link, i) => {
    link.setAttribute("role", "tab");
    link.setAttribute("aria-controls", panels[i].id);
    panels[i].setAttribute("role", "tabpanel");
    panels[i].setAttribute("aria-labelledby", link.id);
    link.addEventListener("keydown", turn);
    link.addEventListener("click", (event) => {
      event.preventDefault();
      show(i);
    });
  });
  const wrong = panels.findIndex((panel) => panel.dataset.errors > 0);
  const asked = panels.findIndex((panel) => `#${panel.id}` === decodeURI(location.hash));
  show(wrong >= 0 ? wrong : Math.max(asked, 0), { isAsked: false });
  // After saving, the same part is open again.
  form.addEventListener("submit", () => {
    form.action = location.pathname + location.search + location.hash;
  });
  // The browser's own way to a field that is wrong, in a part that is shut.
  form.addEventListener("invalid", (event) => showWith(event.target), true);
}

// --- fields that matter ------------------------------------------------------------------

const MONEY = ["amount", "cash_back"];
const RULES = {
  benefit: {
    benefit_value: (kind) => kind === "percentage" || MONEY.includes(kind),
    price_before: (kind) => kind === "price",
    price_after: (kind) => kind === "price",
  },
  expiry: {
    expiry_amount: (mode) => mode !== "use_end",
    expiry_unit: (mode) => mode !== "use_end",
  },
  verifying: {
    new_password: (way) => way.startsWith("password"),
    new_password_again: (way) => way.startsWith("password"),
    forget_password: (way) => way.startsWith("password"),
  },
};

function fieldOf(name) {
  return root.querySelector(`[data-field="${name}"]`);
}

function showWhatMatters() {
  for (const [source, rules] of Object.entries(RULES)) {
    const chosen = form.elements[source];
    if (!chosen) continue;
    for (const [name, matters] of Object.entries(rules)) {
      const field = fieldOf(name);
      if (field) field.hidden = !matters(chosen.value) && !field.classList.contains("errors");
    }
  }
}

function isFilled(block) {
  return [...block.querySelectorAll("input:not([type=hidden]), textarea")].some((field) => field.value.trim());
}

// The campaign's own language needs no second place to write it.
function showLanguages() {
  const own = form.elements.language?.value;
  for (const block of root.querySelectorAll("[data-language]")) {
    const isWrong = block.querySelector(".cf-error") !== null;
    block.hidden = block.dataset.language === own && !isFilled(block) && !isWrong;
  }
}

// --- how much fits -----------------------------------------------------------------------

function countLetters(field) {
  const most = field.maxLength;
  const said = field.letters ?? document.createElement("p");
  if (!field.letters) {
    field.letters = said;
    said.className = "cf-letters";
    said.setAttribute("aria-hidden", "true");
    field.closest(".cf-field").append(said);
  }
  said.hidden = field.value.length < most * 0.75;
  said.textContent = `${field.value.length} / ${most}`;
}

// unfold shows a page late and moves parts of it about: what is wrong gets the focus, and
// keeps it until somebody presses something.
function startAtMistake() {
  const wrong = root.querySelector('[aria-invalid="true"]');
  if (!wrong) return;
  showWith(wrong);
  let until = performance.now() + 3000;
  for (const kind of ["pointerdown", "keydown"]) {
    addEventListener(kind, () => { until = 0; }, { capture: true, once: true });
  }
  const again = () => {
    if (performance.now() > until) return;
    if (document.activeElement === document.body) wrong.focus();
    setTimeout(again, 100);
  };
  again();
}

if (root) {
  makeTabs();
  startAtMistake();
  showWhatMatters();
  showLanguages();
  form.addEventListener("change", () => {
    showWhatMatters();
    showLanguages();
  });
  const long = [...root.querySelectorAll("input[maxlength], textarea[maxlength]")];
  for (const field of long.filter((one) => one.maxLength >= 40 && one.closest(".cf-field"))) {
    countLetters(field);
    field.addEventListener("input", () => countLetters(field));
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("[data-go]");
    if (!link) return;
    event.preventDefault();
    goTo(link.dataset.go);
  });
}
