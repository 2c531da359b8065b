// Asks the server for the annotations of what is typed, and shows the newest answer, never an older one after it.

import { Text, count, get, make, milliseconds } from "./dom.js";
import { Card, times } from "./tasks.js";

const WAIT = 250; // milliseconds without a key, after which a text is sent
const RETRY = 1000; // milliseconds after which a busy server is asked again
const FIELDS = ["questions", "second_text", "choices", "predicates"];
const DOWN = "The demo does not answer. Is it still running in its terminal?";

const state = { about: null, cards: [], newest: 0, timer: null, running: null, answer: null };

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const wellFormed = (text) => text.toWellFormed?.() ?? text;
const split = (text, by) => wellFormed(text).split(by).map((part) => part.trim()).filter((part) => part);

function given() {
  return {
    text: wellFormed(get("text").value),
    questions: split(get("questions").value, "\n"),
    second_text: wellFormed(get("second_text").value).trim(),
    choices: split(get("choices").value, "\n"),
    predicates: split(get("predicates").value, ","),
  };
}

/** Something was typed: forget what is under way, and send it when nothing more is typed for a moment. */
function changed({ wait = WAIT } = {}) {
  state.newest += 1;
  state.running?.abort();
  clearTimeout(state.timer);
  const n = new Text(get("text").value).length;
  const most = state.about.characters;
  get("count").textContent = `${n.toLocaleString("en")} of ${count(most, "character")}`;
  get("count").classList.toggle("over", n > most);
  get("text").setAttribute("aria-invalid", n > most);
  state.timer = setTimeout(() => annotate(n), wait);
}

async function annotate(n) {
  const own = state.newest;
  const asked = given();
  if (!asked.text.trim()) return clear("Type a text, or try one of the examples.");
  if (n > state.about.characters) {
    const most = count(state.about.characters, "character");
    return fail(`This text has ${count(n, "character")}, and the demo reads at most ${most}. Shorten it.`);
  }
  state.running = new AbortController();
  get("results").setAttribute("aria-busy", "true");
  try {
    const answer = await post(asked, own, state.running.signal);
    if (own === state.newest) show({ ...answer, given: asked, text: new Text(asked.text) });
  } catch (error) {
    if (own === state.newest) fail(error instanceof Refusal ? error.message : DOWN);
  }
}

class Refusal extends Error {}

/** Send what was typed; while the server is busy, ask again as long as nothing newer was typed. */
async function post(asked, own, signal) {
  for (;;) {
    const headers = { "Content-Type": "application/json" };
    const response = await fetch("annotate", { method: "POST", headers, body: JSON.stringify(asked), signal });
    if (response.ok) return response.json();
    if (response.status !== 503) throw new Refusal(await reason(response));
    await pause(RETRY);
    if (own !== state.newest) throw new Refusal("");
  }
}

async function reason(response) {
  try {
    return (await response.json()).error;
  } catch {
    return `The demo answered with an error (${response.status}).`;
  }
}

function clear(status = "") {
  state.answer = null;
  get("error").replaceChildren();
  get("status").textContent = status;
  get("times").replaceChildren();
  get("tasks").replaceChildren();
  get("results").setAttribute("aria-busy", "false");
}

function fail(message) {
  clear();
  get("error").replaceChildren(make("p", { class: "panel error" }, message));
}

function show(answer) {
  state.answer = answer;
  get("error").replaceChildren();
  get("results").setAttribute("aria-busy", "false");
  get("times").replaceChildren(...times(answer));
  get("tasks").replaceChildren(...state.cards.map((card) => card.node));
  showAnnotations();
}

/** Show the newest answer with the threshold as it is. */
function showAnnotations() {
  const threshold = get("threshold").valueAsNumber;
  const { given, text, tasks, seconds, words } = state.answer;
  const found = tasks.flatMap((task, place) => state.cards[place].show(task, { given, text, threshold }));
  const together = summary(found);
  get("status").textContent = `${together}${together ? ". " : ""}${count(words, "word")} in ${milliseconds(seconds)}.`;
  showHidden(threshold);
}

/** Return what all tasks found, as "3 entities, 1 class". */
function summary(found) {
  const sums = new Map();
  for (const [n, one, several] of found) sums.set(one, [(sums.get(one)?.[0] ?? 0) + n, one, several]);
  return [...sums.values()].map((counted) => count(...counted)).join(", ");
}

function showHidden(threshold) {
  const level = ({ confidence }) => confidence ?? 1;
  const ofFrame = ({ predicate, roles }) =>
    [level(predicate), ...roles.map((role) => Math.min(level(role), level(predicate)))];
  const found = (state.answer?.tasks ?? []).flatMap(({ annotations }) => (annotations === null ? [] : [
    ...annotations.entities.map(level), ...(annotations.frames ?? []).flatMap(ofFrame)]));
  const hidden = found.filter((confidence) => confidence < threshold).length;
  get("threshold-value").value = threshold.toFixed(2);
  get("hidden-spans").textContent = hidden
    ? `${hidden} of ${count(found.length, "span")} ${hidden === 1 ? "is" : "are"} below it and hidden.`
    : "All spans are shown.";
}

function fill(example) {
  get("text").value = example.text;
  for (const name of FIELDS) {
    const value = example[name] ?? "";
    get(name).value = Array.isArray(value) ? value.join(name === "predicates" ? ", " : "\n") : value;
  }
  changed({ wait: 0 });
}

function introduce(about) {
  const asks = new Set(about.tasks.flatMap((task) => task.asks.map(({ what }) => what)));
  for (const field of document.querySelectorAll("[data-asks]")) field.hidden = !asks.has(field.dataset.asks);
  const kinds = new Set(about.tasks.flatMap((task) => Object.keys(task.kinds)));
  get("certainty").hidden = !(kinds.has("entities") || kinds.has("frames"));
  get("about").replaceChildren(count(about.tasks.length, "task"), " over one frozen backbone, ",
    make("code", {}, about.backbone));
  get("examples").replaceChildren(...about.examples.map((example) =>
    make("li", {}, make("button", { type: "button", class: "example", onclick: () => fill(example) },
      make("span", { dir: "auto" }, example.text)))));
  get("try").hidden = !about.examples.length;
}

async function start() {
  try {
    const response = await fetch("about");
    if (!response.ok) return fail(await reason(response));
    state.about = await response.json();
  } catch {
    return fail(DOWN);
  }
  introduce(state.about);
  state.cards = state.about.tasks.map((offer) => new Card(offer));
  get("form").addEventListener("submit", (event) => event.preventDefault());
  for (const name of ["text", ...FIELDS]) get(name).addEventListener("input", () => changed());
  get("threshold").addEventListener("input", () => (state.answer ? showAnnotations() : showHidden(get("threshold").valueAsNumber)));
  changed({ wait: 0 });
}

start();
