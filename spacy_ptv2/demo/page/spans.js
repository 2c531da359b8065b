// Spans in their text: marks within marks where spans are nested, and a list of those that cross another one.

import { make } from "./dom.js";

const TONES = 8;
const GLUE = "\u00a0"; // keeps a label and its confidence with the last word of the span

/** Return the spans that are at least as certain as the threshold; those without a confidence always are. */
export const certain = (spans, threshold) =>
  spans.filter((span) => span.confidence === null || span.confidence >= threshold);

/** Return the class of a label's colour: the same label has the same colour in all texts. */
export const toneOf = (label, labels) => {
  const place = labels.indexOf(label);
  return `tone-${(place < 0 ? label.length : place) % TONES}`;
};

const shown = (confidence) => (confidence === null ? null : make("span", { class: "score" }, confidence.toFixed(2)));

function tag(span) {
  if (!span.label && span.confidence === null) return null;
  const space = span.label && span.confidence !== null ? GLUE : "";
  return make("span", { class: "tag" }, `${span.label}${space}`, shown(span.confidence));
}

const mark = (span, labels, inside) => {
  const own = tag(span);
  const tone = span.tone ?? toneOf(span.label, labels);
  return make("mark", { class: tone }, ...inside, own === null ? null : GLUE, own);
};

/** Return nested spans as a tree, and those that cross others. */
function nest(spans) {
  const roots = [];
  const crossing = [];
  const open = [];
  for (const span of [...spans].sort((a, b) => a.start - b.start || b.end - a.end)) {
    while (open.length && open.at(-1).end <= span.start) open.pop();
    const parent = open.at(-1);
    if (parent && span.end > parent.end) {
      crossing.push(span);
      continue;
    }
    const node = { span, start: span.start, end: span.end, children: [] };
    (parent ? parent.children : roots).push(node);
    open.push(node);
  }
  return { roots, crossing };
}

function pieces(text, nodes, start, end, labels) {
  const found = [];
  let place = start;
  for (const node of nodes) {
    found.push(text.slice(place, node.start));
    found.push(mark(node.span, labels, pieces(text, node.children, node.start, node.end, labels)));
    place = node.end;
  }
  return [...found, text.slice(place, end)];
}

/** Return a stretch of a text with its spans marked. */
export function marked(text, spans, labels, start = 0, end = text.length) {
  const { roots, crossing } = nest(spans);
  const body = make("p", { class: "text", dir: "auto" }, ...pieces(text, roots, start, end, labels));
  if (!crossing.length) return [body];
  const items = crossing.map((span) => make("li", {}, mark(span, labels, [text.slice(span.start, span.end)])));
  return [body, make("p", { class: "note" }, "Across those:"), make("ul", { class: "crossing" }, ...items)];
}

/** Return where the sentence around some spans begins and ends, as far as stops and line breaks tell. */
export function around(text, spans, most = 160) {
  let start = Math.min(...spans.map((span) => span.start));
  let end = Math.max(...spans.map((span) => span.end));
  const [first, last] = [Math.max(0, start - most), Math.min(text.length, end + most)];
  while (start > first && !/[.!?]\s$|\n$/u.test(text.slice(Math.max(0, start - 2), start))) start -= 1;
  while (end < last && !/[.!?]$|\n$/u.test(text.slice(end - 1, end))) end += 1;
  return [start, end];
}
