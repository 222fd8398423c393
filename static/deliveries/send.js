// Shows the words only for a text, and one contact only without a list.
const form = document.getElementById("send");

function field(name) {
  return form.querySelector(`[data-field="${name}"]`);
}

function look() {
  const kind = form.querySelector('input[name="kind"]:checked');
  if (kind) {
    field("text").hidden = kind.value !== "text";
  }
  const list = form.elements.contact_list;
  const contact = form.elements.contact;
  field("contact").hidden = Boolean(list.value) && !contact.value;
}

if (form) {
  form.addEventListener("change", look);
  look();
}

// A second press of Send changes nothing anyway; this only keeps it from being made.
for (const once of document.querySelectorAll("form[data-once]")) {
  once.addEventListener("submit", () => {
    once.querySelector('[type="submit"]').disabled = true;
  });
}
