// A card for each task: its annotations, its time, their JSON, and the Python that gives them.

import { make, milliseconds } from "./dom.js";
import { sections } from "./results.js";

function copyButton(read) {
  const button = make("button", { type: "button", class: "copy" }, "Copy");
  button.hidden = !navigator.clipboard; // over plain HTTP from elsewhere there is none
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(read());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy";
    }
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  return button;
}

/** A part that is closed at first. Its content is made when it is opened, and stays open when the text changes. */
class Folded {
  constructor(title, name) {
    this.read = () => "";
    this.code = make("pre", { tabindex: "0", role: "region", "aria-label": `${title} of ${name}` });
    this.node = make("details", {}, make("summary", {}, title, make("span", { class: "unseen" }, ` of ${name}`)),
      copyButton(() => this.read()), this.code);
    this.node.addEventListener("toggle", () => this.show());
  }

  set(read) {
    this.read = read;
    this.show();
  }

  show() {
    this.code.textContent = this.node.open ? this.read() : "";
  }
}

/** The card of a task. */
export class Card {
  constructor(offer) {
    this.offer = offer;
    this.time = make("span", { class: "time" });
    this.body = make("div", { class: "body" });
    this.json = new Folded("JSON", offer.name);
    this.python = new Folded("Python", offer.name);
    this.node = make("article", { class: "panel task" },
      make("header", {}, make("h3", { class: "name" }, offer.name), this.time), this.body,
      make("div", { class: "folded" }, this.python.node, this.json.node));
  }

  /** Show what a task found, and return how much. context: the text, what was given, and the threshold. */
  show(task, context) {
    this.time.textContent = milliseconds(task.seconds);
    this.python.set(() => task.python);
    this.json.set(() => JSON.stringify(task.annotations, null, 2));
    this.json.node.hidden = task.annotations === null;
    if (task.annotations === null) {
      this.body.replaceChildren(make("p", { class: "error" }, task.error));
      return [];
    }
    const found = sections(this.offer, task.annotations, context);
    this.body.replaceChildren(...found.map(({ node }) => node));
    return found.map((section) => section.found).filter((counted) => counted);
  }
}

/** Return the times of a pass as a bar, and in words, if there are several. */
export function times({ together, tasks }) {
  const parts = [["common pass", together], ...tasks.map(({ name, seconds }) => [name, seconds])];
  const counted = parts.filter(([, seconds], place) => place || seconds > 0.0005);
  if (counted.length === 1) return []; // the card has it
  const bar = make("div", { class: "timeline", "aria-hidden": "true" });
  const items = counted.map(([name, seconds], place) => {
    const tone = name === "common pass" && !place ? "common" : `tone-${place % 8}`;
    const stretch = make("span", { class: tone });
    stretch.style.flexGrow = seconds * 1e6; // a sum below 1 would not fill the bar
    bar.append(stretch);
    return make("li", {}, make("span", { class: `dot ${tone}`, "aria-hidden": "true" }), `${name} ${milliseconds(seconds)}`);
  });
  return [bar, make("ul", { class: "legend" }, ...items)];
}
