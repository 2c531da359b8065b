"""The names of the extension attributes and span groups that tasks use by default, and how attributes are added.

A question, a second text, a predicate or a marked span is part of the Doc, so `DocBin` (with `store_user_data=True`),
`Example` and `nlp.pipe` need nothing new. The page docs/reference/annotations.md shows each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spacy.tokens import Doc

QUESTIONS = "questions"  # doc._.questions: list of texts, or one text
QUESTION_IDS = "question_ids"  # doc._.question_ids: their ids in the file that they come from
ANSWERS = "answers"  # doc._.answers: for each question a list of answers
NO_ANSWER = "no_answer"  # doc._.no_answer: for each question the probability that the Doc has no answer
SECOND_TEXT = "second_text"  # doc._.second_text: what the Doc is paired with, a text or a list of choices
CHOICE = "choice"  # doc._.choice: the number of the right choice, from 0; several right ones as a list
CANDIDATES = "candidates"  # doc._.candidates: what each choice stands for, such as the entities of ReCoRD
CHOICE_SCORES = "choice_scores"  # doc._.choice_scores: a probability of each choice
IDX = "idx"  # doc._.idx: the number of the row in the file that it comes from, or an object of several numbers
PREDICATES = "predicates"  # doc.spans["predicates"]
ROLES = "roles"  # doc.spans["roles"]
FRAMES = "frames"  # doc._.frames, made of the two above
TEXTS = "texts"  # doc.spans["texts"]: two texts within one Doc
MARKED = "marked"  # doc.spans["marked"]: marked spans

# What is given to a task, and not predicted by it; see `give`.
GIVEN = (
    f"doc._.{QUESTIONS}",
    f"doc._.{QUESTION_IDS}",
    f"doc._.{SECOND_TEXT}",
    f"doc._.{CANDIDATES}",
    f"doc._.{IDX}",
    f"doc.spans.{PREDICATES}",
    f"doc.spans.{TEXTS}",
    f"doc.spans.{MARKED}",
)


def add_extension(name: str, getter: Callable[[Doc], Any] | None = None) -> None:
    """Add an extension attribute to all Docs, unless there is one of this name. getter: None for a plain value."""
    if not Doc.has_extension(name):
        Doc.set_extension(name, **({"default": None} if getter is None else {"getter": getter}))


def attribute_of(doc: Doc, name: str) -> Any:
    """Return the value of an extension attribute; None if it has none, or if no Doc has such an attribute."""
    return doc._.get(name) if doc.has_extension(name) else None


def texts_of(doc: Doc, attribute: str) -> list[str]:
    """Return the texts under an extension attribute: none, one or several."""
    value = doc._.get(attribute)
    return [value] if isinstance(value, str) else list(value or ())
