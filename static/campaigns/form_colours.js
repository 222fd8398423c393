// A colour picker and its opacity beside each colour's text. The text is what counts:
// without this file it is all there is.
(() => {
  const COLOUR = /^#([0-9a-f]{6})([0-9a-f]{2})?$/i;

  function parts(text) {
    const found = COLOUR.exec(text.trim());
    return found && { rgb: `#${found[1]}`.toLowerCase(), alpha: parseInt(found[2] ?? "ff", 16) };
  }

  function written(rgb, alpha) {
    const end = alpha < 255 ? alpha.toString(16).padStart(2, "0") : "";
    return (rgb + end).toUpperCase();
  }

  function tell(field) {
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.dispatchEvent(new Event("change", { bubbles: true }));
  }

  function dress(box) {
    const text = box.querySelector("input:not([data-pick]):not([data-opacity])");
    const pick = box.querySelector("[data-pick]");
    const opacity = box.querySelector("[data-opacity]");
    const said = box.querySelector("[data-opacity-said]");
    const swatch = box.querySelector("[data-swatch]");
    const label = document.querySelector(`label[for="${text.id}"]`)?.textContent.trim() ?? "";

    function look() {
      const found = parts(text.value);
      swatch.setAttribute("fill", found ? written(found.rgb, found.alpha) : "none");
      if (found) pick.value = found.rgb;
      opacity.value = Math.round(((found?.alpha ?? 255) / 255) * 100);
      said.textContent = `${opacity.value} %`;
      opacity.disabled = !found;
    }

    function write(rgb, alpha) {
      text.value = written(rgb, alpha);
      look();
      tell(text);
    }

    pick.setAttribute("aria-label", `${pick.getAttribute("aria-label")}: ${label}`);
    opacity.setAttribute("aria-label", `${box.querySelector(".cf-opacity span").textContent}: ${label}`);
    // Only the text is sent: what happens to the other two is told through it.
    for (const helper of [pick, opacity]) {
      for (const kind of ["input", "change"]) {
        helper.addEventListener(kind, (event) => event.stopPropagation());
      }
    }
    pick.addEventListener("input", () => write(pick.value, parts(text.value)?.alpha ?? 255));
    opacity.addEventListener("input", () => write(pick.value, Math.round((opacity.value / 100) * 255)));
    text.addEventListener("input", look);
    box.querySelector(".cf-pick").hidden = false;
    look();
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const box of document.querySelectorAll("[data-colour]")) dress(box);
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-use]");
    if (!button) return;
    const field = document.getElementById(`id_${button.dataset.for}`);
    field.value = button.dataset.use;
    tell(field);
    field.focus();
  });
})();
