// What each kind of annotation looks like. Each function takes a task's annotations and returns nodes, and what was found
// as a number of something, such as [2, "entity", "entities"].

import { make } from "./dom.js";
import { around, certain, marked, toneOf } from "./spans.js";

const FEW = { classes: 5, frames: 30, tags: 400 };

const hint = (text) => make("p", { class: "hint" }, text);
const number = (value) => value.toFixed(2);

/** Return nodes: the first few as they are, the others once somebody asks for them. wrap: What a button stands in. */
function few(builders, most, what, wrap = (button) => button) {
  const build = (some) => some.map((builder) => builder());
  if (builders.length <= most) return build(builders);
  const more = make("button", { type: "button", class: "more" }, `Show all ${builders.length} ${what}`);
  const place = wrap(more);
  more.addEventListener("click", () => {
    const rest = build(builders.slice(most));
    place.replaceWith(...rest);
    rest[0].setAttribute("tabindex", "-1");
    rest[0].focus();
  });
  return [...build(builders.slice(0, most)), place];
}

function entities({ annotations, labels, text, threshold }) {
  const spans = certain(annotations.entities, threshold);
  const nodes = marked(text, spans, labels);
  return { nodes, found: [spans.length, "entity", "entities"] };
}

function frames({ annotations, labels, text, threshold, asked }) {
  const all = annotations.frames ?? [];
  const kept = all.filter(({ predicate }) => certain([predicate], threshold).length);
  const builders = kept.map(({ predicate, roles }) => () => {
    const spans = [{ ...predicate, label: "V", tone: "predicate" }, ...certain(roles, threshold)];
    return make("div", { class: "frame" }, ...marked(text, spans, labels, ...around(text, spans)));
  });
  const missing = asked === "predicates" ? "Name its predicates to see their roles." : "No predicate in this text.";
  return {
    nodes: builders.length ? few(builders, FEW.frames, "frames") : [hint(missing)],
    found: [kept.length, "frame"],
  };
}

function answer(text, { answer: found, score, start, end }) {
  const score_ = make("span", { class: "score" }, number(score));
  if (!found) return make("p", { class: "answer none" }, "No answer in this text ", score_);
  const span = { start, end, label: "", confidence: null, tone: "predicate" };
  return make("div", {}, make("p", { class: "answer", dir: "auto" }, found, " ", score_),
    ...marked(text, [span], [], ...around(text, [span], 80)));
}

function answers({ annotations, text, given }) {
  const found = annotations.answers ?? [];
  if (!found.length) return { nodes: [hint("Ask a question about this text to have it answered.")], found: null };
  const nodes = found.map((own, place) => make("div", { class: "asked" },
    make("p", { class: "question", dir: "auto" }, given.questions[place]), ...own.map((one) => answer(text, one))));
  return { nodes, found: [found.length, "answer"] };
}

function share(name, value, isBest, tone) {
  const bar = make("span", { class: `bar ${tone}`, "aria-hidden": "true" }, make("span"));
  bar.firstChild.style.inlineSize = `${Math.round(100 * value)}%`;
  return make("li", { class: isBest ? "share best" : "share" },
    make("span", { class: "name", dir: "auto" }, name), bar, make("span", { class: "score" }, number(value)));
}

function classes({ annotations, labels, asked }) {
  const sorted = Object.entries(annotations.classes ?? {}).sort((a, b) => b[1] - a[1]);
  if (!sorted.length) {
    const missing = asked === "second_text" ? "Type a second text to compare this one with." : "No class.";
    return { nodes: [hint(missing)], found: null };
  }
  const builders = sorted.map(([name, value], place) => () => share(name, value, !place, toneOf(name, labels)));
  return { nodes: [make("ol", { class: "shares" }, ...few(builders, FEW.classes, "classes", inItem))],
    found: [1, "class", "classes"] };
}

const inItem = (button) => make("li", {}, button);

function choices({ annotations, given }) {
  const scores = annotations.choice_scores ?? [];
  if (!scores.length) return { nodes: [hint("Type some choices to have one chosen.")], found: null };
  const items = scores.map((value, place) => share(given.choices[place], value, place === annotations.choice, "tone-0"));
  return { nodes: [make("ol", { class: "shares" }, ...items)], found: [1, "choice"] };
}

function tags({ annotations, labels, text }) {
  const found = annotations.tags ?? [];
  const words = found.filter(({ start, end }) => text.slice(start, end).trim());
  const word = new Map(found.map(({ start, end }) => [start, text.slice(start, end)]));
  const builders = words.map((token) => () => {
    const lines = [token.tag, token.pos, token.lemma].filter((value) => value);
    const arc = token.dep ? make("span", { class: "line" }, `${token.dep} ← ${word.get(token.head)}`) : null;
    return make("li", {}, make("span", { class: "word", dir: "auto" }, text.slice(token.start, token.end)),
      ...lines.map((line, place) =>
        make("span", { class: place ? "line" : `line first ${toneOf(line, labels)}` }, line)), arc);
  });
  if (!builders.length) return { nodes: [hint("No tags.")], found: null };
  return { nodes: [make("ol", { class: "tokens" }, ...few(builders, FEW.tags, "words", inItem))],
    found: [words.length, "tagged word"] };
}

const KINDS = {
  entities: ["Entities", entities, (found) => found.entities.length],
  frames: ["Frames", frames, (found) => found.frames],
  answers: ["Answers", answers, (found) => found.answers],
  classes: ["Classes", classes, (found) => found.classes],
  choices: ["Choices", choices, (found) => found.choice_scores],
  tags: ["Tags", tags, (found) => found.tags],
};

/** Return the kinds of a task's annotations as sections: those that it offers, and what else was found. */
export function sections(offer, annotations, context) {
  return Object.entries(KINDS)
    .filter(([kind, [, , has]]) => kind in offer.kinds || has(annotations))
    .map(([kind, [title, build]]) => {
      const asked = offer.asks.map(({ what }) => what).find((what) => what in { predicates: 1, second_text: 1 });
      const { nodes, found } = build({ annotations, labels: offer.kinds[kind] ?? [], asked, ...context });
      return { node: make("div", { class: `kind ${kind}` }, make("h4", {}, title), ...nodes), found };
    });
}
