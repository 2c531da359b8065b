"use strict";
// Filters the errors by label and by kind. Without scripts all of them are shown, and no filter.
for (const form of document.querySelectorAll("form.filter")) {
  const items = [...document.getElementById(form.dataset.list).children];
  const filter = () => {
    const kind = form.elements.kind.value;
    const label = form.elements.label.value;
    let shown = 0;
    for (const item of items) {
      const fits = (topic) => {
        const [ownKind, ownLabel] = topic.split(":");
        return (!kind || kind === ownKind) && (!label || label === ownLabel);
      };
      item.hidden = !item.dataset.topics.trim().split(" ").some(fits);
      shown += item.hidden ? 0 : 1;
    }
    form.querySelector("output").textContent = `${shown} shown`;
  };
  form.addEventListener("change", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  filter();
}
