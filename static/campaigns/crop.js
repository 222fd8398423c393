// Lets a square of the chosen picture be chosen too, and shows what becomes of it. The
// server takes the middle where this file does not run.

const CHAT = 1.51; // width to height, as LINE's chat shows a picture
const LEAST = 100; // pixels a side, or all of a smaller picture
const FINEST = 10; // at the smallest, this part of it: smaller could not be held
const STEPS = 100; // small steps from end to end
const FAR = 10; // small steps in a large one

const root = document.querySelector("[data-crop]");
if (root) start(); // whoever may only look has no field

function start() {
  const part = (name) => root.querySelector(`[data-${name}]`);
  const file = part("file");
  const hidden = part("box");
  const picture = part("picture");
  const stage = part("stage");
  const square = part("square");
  const words = JSON.parse(document.getElementById("crop-words").textContent);
  const limits = JSON.parse(document.getElementById("crop-limits").textContent);
  const numbers = new Intl.NumberFormat(document.documentElement.lang);

  let box = null; // left, top, side: in pixels of the upright picture
  let drag = null;
  let waiting = 0; // for the screen reader: it hears where the square came to rest

  // --- The square --------------------------------------------------------------------------

  function width() {
    return picture.naturalWidth;
  }

  function height() {
    return picture.naturalHeight;
  }

  function most() {
    return Math.min(width(), height());
  }

  function least() {
    return Math.min(most(), Math.max(LEAST, most() / FINEST));
  }

  function between(low, number, high) {
    return Math.max(low, Math.min(number, high));
  }

  // Whole pixels inside the picture, whatever was asked for.
  function put(left, top, side) {
    const whole = Math.round(between(least(), side, most()));
    box = {
      left: Math.round(between(0, left, width() - whole)),
      top: Math.round(between(0, top, height() - whole)),
      side: whole,
    };
    show();
  }

  function move(x, y) {
    put(box.left + x, box.top + y, box.side);
  }

  // Around its middle.
  function grow(by) {
    const side = between(least(), box.side + by, most());
    const more = (side - box.side) / 2;
    put(box.left - more, box.top - more, side);
  }

  function toMiddle() {
    put((width() - most()) / 2, (height() - most()) / 2, most());
  }

  function step(isFar) {
    return Math.max(1, Math.round(most() / STEPS)) * (isFar ? FAR : 1);
  }

  // --- What is shown -----------------------------------------------------------------------

  function filled(text, values) {
    return text.replace(/%\((\w+)\)s/g, (_, name) => numbers.format(values[name]));
  }

  function percent(number, whole) {
    return `${(number / whole) * 100}%`;
  }

  function draw(canvas, ratio) {
    const tall = box.side / ratio;
    const top = box.top + (box.side - tall) / 2;
    const pen = canvas.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(picture, box.left, top, box.side, tall, 0, 0, canvas.width, canvas.height);
  }

  function show() {
    hidden.value = `${box.left},${box.top},${box.side}`;
    hidden.dispatchEvent(new Event("input", { bubbles: true }));
    square.style.left = percent(box.left, width());
    square.style.top = percent(box.top, height());
    square.style.width = percent(box.side, width());
    square.style.height = percent(box.side, height());
    draw(part("page"), 1);
    draw(part("chat"), CHAT);
    part("small").textContent = box.side < limits.advised ? filled(words.small, box) : "";
    clearTimeout(waiting);
    waiting = setTimeout(() => { part("place").textContent = filled(words.place, box); }, 400);
  }

  function say(text) {
    part("said").textContent = text;
    file.setAttribute("aria-invalid", String(Boolean(text)));
  }

  // --- The file ----------------------------------------------------------------------------

  function forget(text = "") {
    box = null;
    drag = null;
    clearTimeout(waiting);
    hidden.value = "";
    part("work").hidden = true;
    part("drop").hidden = true;
    if (part("saved")) part("saved").hidden = false;
    say(text);
  }

  // Not taken at all: a server that is sent far too much answers before it reads the form.
  function refuse(text) {
    file.value = "";
    forget(text);
  }

  function isTooLarge() {
    return width() > limits.side || height() > limits.side || width() * height() > limits.pixels;
  }

  function begin() {
    if (isTooLarge()) {
      const pixels = Math.floor(limits.pixels / 1_000_000);
      return refuse(filled(words.pixels, { width: width(), height: height(), side: limits.side, pixels }));
    }
    part("work").hidden = false;
    part("drop").hidden = false;
    if (part("saved")) part("saved").hidden = true;
    if (part("remove")) part("remove").checked = false;
    toMiddle();
  }

  // The policy of these pages takes pictures from data: and not from blob:.
  function look() {
    forget();
    const chosen = file.files[0];
    if (!chosen) return;
    if (chosen.size > limits.bytes) {
      return refuse(filled(words.bytes, { size: chosen.size, most: limits.bytes }));
    }
    const reader = new FileReader();
    reader.addEventListener("load", () => {
      // Another one may have been chosen while this one was read.
      if (file.files[0] === chosen) picture.src = reader.result;
    });
    reader.readAsDataURL(chosen);
  }

  picture.addEventListener("load", begin);
  picture.addEventListener("error", () => forget(words.unreadable));
  file.addEventListener("change", look);
  part("drop").addEventListener("click", () => {
    refuse("");
    file.focus();
  });

  // --- Pointer, touch and keyboard ---------------------------------------------------------

  // A place on the screen in pixels of the picture.
  function at(event) {
    const shown = stage.getBoundingClientRect();
    return {
      x: ((event.clientX - shown.left) / shown.width) * width(),
      y: ((event.clientY - shown.top) / shown.height) * height(),
    };
  }

  // The opposite corner stays where it is.
  function pull(corner, { x, y }) {
    const isWest = corner.endsWith("w");
    const isNorth = corner.startsWith("n");
    const right = drag.box.left + drag.box.side;
    const bottom = drag.box.top + drag.box.side;
    const wide = isWest ? right - x : x - drag.box.left;
    const tall = isNorth ? bottom - y : y - drag.box.top;
    const room = Math.min(
      isWest ? right : width() - drag.box.left,
      isNorth ? bottom : height() - drag.box.top,
    );
    const side = between(Math.min(least(), room), Math.max(wide, tall), room);
    put(isWest ? right - side : drag.box.left, isNorth ? bottom - side : drag.box.top, side);
  }

  stage.addEventListener("pointerdown", (event) => {
    if (!box || event.button !== 0 || drag) return;
    const from = at(event);
    if (!square.contains(event.target)) put(from.x - box.side / 2, from.y - box.side / 2, box.side);
    drag = { id: event.pointerId, from, box: { ...box }, corner: event.target.dataset.corner };
    stage.setPointerCapture(event.pointerId);
    square.focus({ preventScroll: true });
    event.preventDefault();
  });

  stage.addEventListener("pointermove", (event) => {
    if (event.pointerId !== drag?.id) return;
    const to = at(event);
    if (drag.corner) pull(drag.corner, to);
    else put(drag.box.left + to.x - drag.from.x, drag.box.top + to.y - drag.from.y, drag.box.side);
  });

  for (const name of ["pointerup", "pointercancel"]) {
    stage.addEventListener(name, (event) => {
      if (event.pointerId === drag?.id) drag = null;
    });
  }

  const KEYS = {
    ArrowLeft: (far) => move(-far, 0),
    ArrowRight: (far) => move(far, 0),
    ArrowUp: (far) => move(0, -far),
    ArrowDown: (far) => move(0, far),
    "+": (far) => grow(far),
    "=": (far) => grow(far), // where + needs Shift
    "-": (far) => grow(-far),
    _: (far) => grow(-far),
  };

  square.addEventListener("keydown", (event) => {
    const act = KEYS[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    // Shift makes + of = on many keyboards, so it says nothing there.
    act(step(event.shiftKey && event.key !== "+"));
  });

  part("smaller").addEventListener("click", () => grow(-step(true)));
  part("larger").addEventListener("click", () => grow(step(true)));
  part("middle").addEventListener("click", toMiddle);

  part("plain").hidden = true;
  file.hasChangeListener = true; // unfold writes the name into its own widget, which isn't here
  // Back from another page, with the file still chosen.
  addEventListener("pageshow", () => { if (file.files[0]) look(); });
}
