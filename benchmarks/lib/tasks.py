"""Pipelines of the shipped configs of all tasks, untrained, and what their tasks are asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import load_config, load_model_from_config
from thinc.api import fix_random_seed

from spacy_ptv2.annotations.given import copy_words, give
from spacy_ptv2.annotations.names import GIVEN
from spacy_ptv2.migration.blocks import walk

from .pipelines import CONFIGS, LABELS

EVERY = 10  # which words are predicates
QUESTIONS = ["Who was born in the capital?", "When did the war end?", "What is it called today?", "Where?", "Why?"]
COMPONENTS = {
    "ner": ("token_classifier", LABELS),
    "textcat": ("text_classifier", LABELS),
    "pairs": ("pair_classifier", LABELS),
    "srl": ("role_labeler", ["A0", "A1", "A2", "AM-TMP"]),
    "squad": ("question_answerer", None),
}


def build_task(
    config: str,
    backbone: str,
    docs_of: Callable[[Language], list[Doc]],
    ask: Callable[[Sequence[Doc]], None] | None = None,
) -> tuple[Language, list[Doc]]:
    """Return a pipeline with an untrained adapter and head, and Docs with what its task is asked.

    config (str): A key of COMPONENTS, the name of a shipped config. ask (Callable): Asks Docs something; None: nothing.
    """
    settings = load_config(CONFIGS / f"{config}.cfg")
    for _, block in walk(settings["components"]):
        if block.get("@misc") == "spacy_ptv2.Backbone.v1":
            block["name"] = backbone
    nlp = load_model_from_config(settings, auto_fill=True)
    fix_random_seed(0)
    docs = docs_of(nlp)
    if ask is not None:
        ask(docs)
    component, labels = COMPONENTS[config]
    examples = [Example(copy_words(doc), doc) for doc in docs[:8]]
    for name, pipe in nlp.pipeline:
        given = {"labels": labels} if name == component and labels else {}
        pipe.initialize(lambda: examples, nlp=nlp, **given)  # type: ignore[attr-defined]
    return nlp, docs


def copies_of(docs: Sequence[Doc]) -> list[Doc]:
    """Return Docs without annotations but what is given to a task."""
    copies = [copy_words(doc) for doc in docs]
    for doc, copy in zip(docs, copies, strict=True):
        give(doc, copy, GIVEN)
    return copies


def ask_pairs(docs: Sequence[Doc]) -> None:
    """Give each Doc the text before it as its second text."""
    for doc, other in zip(docs, [docs[-1], *docs[:-1]], strict=True):
        doc._.second_text = other.text


def ask_roles(docs: Sequence[Doc]) -> None:
    """Let every tenth word be a predicate."""
    for doc in docs:
        doc.spans["predicates"] = [Span(doc, i, i + 1) for i in range(0, len(doc), EVERY)]


def ask_questions(docs: Sequence[Doc], n: int = len(QUESTIONS)) -> None:
    """Ask each Doc some questions, whose answer is its first word."""
    for doc in docs:
        doc._.questions = [QUESTIONS[number % len(QUESTIONS)] for number in range(n)]
        first = {"answer": doc[0].text, "score": 1.0, "start": 0, "end": len(doc[0])}
        doc._.answers = [[first] for _ in range(n)]
