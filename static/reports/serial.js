// Who comes to find a serial types at once. Pages of unfold show too late for autofocus.
document.querySelector("#content [autofocus]")?.focus();
