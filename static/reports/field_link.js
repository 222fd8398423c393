// A link to a field opens the part of the form that the field is in, and puts the cursor
// there. Without script all parts are open, and the browser does it itself.
(() => {
  function show() {
    const id = decodeURIComponent(location.hash.slice(1));
    const target = id ? document.getElementById(id) : null;
    const panel = target ? target.closest("[role=tabpanel]") : null;
    if (!panel || target === panel) return;
    document.querySelector(`[role=tab][aria-controls="${CSS.escape(panel.id)}"]`)?.click();
    requestAnimationFrame(() => {
      target.scrollIntoView({ block: "center" });
      if (target.matches("input, select, textarea")) target.focus({ preventScroll: true });
    });
  }

  addEventListener("hashchange", show);
  // After the scripts that show the page and make tabs of the form's parts.
  addEventListener("load", () => setTimeout(show, 0));
})();
