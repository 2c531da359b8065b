// Builds the page out of nodes. Texts become text nodes and nothing here parses HTML, so that markup is shown, not run.

/** Return a new element. Children are nodes or texts; null is left out. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null));
  return element;
}

/** Return the element of this id. */
export const get = (id) => document.getElementById(id);

/** Return "1 entity" or "2 entities". */
export const count = (n, one, several = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : several}`;

/** Return seconds as milliseconds, as short as they can be read. */
export const milliseconds = (seconds) => {
  const ms = seconds * 1000;
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms).toLocaleString("en")} ms`;
};

/** A text whose offsets count characters as Python does; JavaScript counts emoji twice. */
export class Text {
  constructor(text) {
    this.text = text;
    this.places = [0];
    for (const character of text) this.places.push(this.places.at(-1) + character.length);
  }

  get length() {
    return this.places.length - 1;
  }

  slice(start, end = this.length) {
    return this.text.slice(this.places[start], this.places[end]);
  }
}
