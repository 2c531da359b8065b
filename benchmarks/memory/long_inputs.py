"""Inputs that are long in every way: peak memory, and whether everything is there, at its place.

python -m benchmarks.memory.long_inputs [--backbone NAME_OR_FOLDER] [--results FILE.md]

Each case is a process of its own with the pipeline of a shipped config, untrained. "peak" is by how much annotating
raises the resident memory, after a first short Doc. What is checked: an answer for each question and a frame for each
predicate, in order; every answer is the text at its offsets; a sample of questions and predicates has the same result
when it is asked alone; every token outside spaces gets scores. Exit status 1 where anything is not so.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import typer
from spacy.language import Language
from spacy.tokens import Doc, Span

from ..lib.annotators import annotate, cut_texts, read_texts
from ..lib.memory import in_fresh_process, peak_bytes
from ..lib.pipelines import MINILM, seconds
from ..lib.results import record, table
from ..lib.tasks import ask_questions, build_task, copies_of

HEADER = ("input", "peak, MB", "seconds", "wrong")
SAMPLE = 7  # every so many are also asked alone
TOLERANCE = 1e-3  # of scores, which depend on what is in the batch in the last digits


def main(backbone: str = MINILM, results: Path | None = None) -> None:
    """Print and record one row per case."""
    rows, failed = [], False
    for name, case in CASES.items():
        peak, taken, wrong = in_fresh_process(case, backbone)
        rows.append([name, f"{peak / 2**20:.0f}", f"{taken:.0f}", "; ".join(wrong) or "nothing"])
        failed |= bool(wrong)
        print(name, rows[-1][1:], flush=True)
    text = table(HEADER, rows)
    record(f"Long inputs: {Path(backbone).name}, untrained", text, results)
    print(text)
    raise SystemExit(failed)


Outcome = tuple[int, float, list[str]]


def measure(nlp: Language, doc: Doc) -> tuple[Doc, int, float]:
    """Annotate a Doc. RETURNS: It, the peak in bytes, and the seconds."""
    annotate(nlp, copies_of([doc[:5].as_doc()]))  # what is loaded at first use
    (copy,) = copies_of([doc])
    taken = 0.0

    def run() -> None:
        nonlocal taken
        taken = seconds(partial(annotate, nlp, [copy]))

    return copy, peak_bytes(run), taken


def long_doc(n_words: int) -> Callable[[Language], list[Doc]]:
    """Return a function that makes one Doc of so many words of Wikigold."""
    texts = read_texts(None)
    return lambda nlp: [text.make_doc(nlp) for text in cut_texts(texts, n_words, n_words)]


def questions(n_words: int, n_questions: int, backbone: str) -> Outcome:
    """Ask one Doc."""
    nlp, (doc,) = build_task("squad", backbone, long_doc(n_words), partial(ask_questions, n=n_questions))
    doc._.questions = [f"{number} {question}" for number, question in enumerate(doc._.questions)]
    copy, peak, taken = measure(nlp, doc)
    answers = [best for best, *_ in copy._.answers]
    wrong = [] if len(answers) == n_questions else [f"{len(answers)} answers to {n_questions} questions"]
    wrong += [f"answer {a} is not at its place" for a in answers if copy.text[a["start"] : a["end"]] != a["answer"]]
    answerer = nlp.get_pipe("question_answerer")
    for number in range(0, n_questions, max(1, n_questions // SAMPLE)):
        alone = answerer.answer(doc._.questions[number], doc)  # type: ignore[attr-defined]
        together = answers[number]
        is_same = (alone["start"], alone["end"]) == (together["start"], together["end"])
        if not is_same and abs(alone["score"] - together["score"]) > TOLERANCE:
            wrong.append(f"question {number}: {alone} alone, {together} together")
    return peak, taken, wrong


def predicates(n_words: int, n_predicates: int, backbone: str) -> Outcome:
    """Label the roles of many predicates of one sentence."""

    def ask(docs: object) -> None:
        for doc in docs:  # type: ignore[attr-defined]
            doc.spans["predicates"] = [Span(doc, i, i + 1) for i in range(0, n_words, n_words // n_predicates)]

    nlp, (doc,) = build_task("srl", backbone, long_doc(n_words), ask)
    copy, peak, taken = measure(nlp, doc)
    frames, asked = copy._.frames, list(doc.spans["predicates"])
    wrong = [] if len(frames) == len(asked) else [f"{len(frames)} frames of {len(asked)} predicates"]
    for number in range(0, len(asked), max(1, len(asked) // SAMPLE)):
        (alone,) = copies_of([doc])
        alone.spans["predicates"] = [Span(alone, asked[number].start, asked[number].end)]
        annotate(nlp, [alone])
        ((one,), together) = alone._.frames, frames[number]
        roles = [[(role.start, role.end, role.label_) for role in frame.roles] for frame in (one, together)]
        further = max((abs(a - b) for a, b in zip(one.scores, together.scores, strict=False)), default=0.0)
        if roles[0] != roles[1] and further > TOLERANCE:
            wrong.append(f"predicate {number} has other roles alone")
    return peak, taken, wrong


def sentences(n_sentences: int, backbone: str) -> Outcome:
    """Find the entities of a document of many sentences: every word is read, as in the sentence's own neighbourhood."""
    texts = read_texts(None)
    n_words = sum(len(texts[number % len(texts)].words) for number in range(n_sentences))
    nlp, (doc,) = build_task("ner", backbone, long_doc(n_words))
    copy, peak, taken = measure(nlp, doc)
    rows = nlp.get_pipe("token_classifier").model.predict([copy])[0]  # type: ignore[attr-defined]
    wrong = [] if len(rows) == len(copy) == n_words else [f"{len(rows)} rows of {n_words} words"]
    unread = sum(1 for token, row in zip(copy, rows, strict=False) if not token.is_space and not row.any())
    wrong += [f"{unread} words have no scores"] if unread else []
    return peak, taken, wrong


CASES: dict[str, Callable[[str], Outcome]] = {
    "one question, 20,000 words": partial(questions, 20_000, 1),
    "1,000 questions, 300 words": partial(questions, 300, 1_000),
    "40 predicates, a sentence of 500 words": partial(predicates, 500, 40),
    "entities, 10,000 sentences in one Doc": partial(sentences, 10_000),
}

if __name__ == "__main__":
    typer.run(main)
