"""What gold Docs of any task contain: their labels by kind, and by what two Docs are the same example.

In: a Doc. Out: its annotations, whatever they are of, and its identity: its text and what is asked of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from spacy.tokens import Doc

from ..annotations.answers import answers_of
from ..annotations.names import (
    CANDIDATES,
    CHOICE,
    MARKED,
    PREDICATES,
    QUESTIONS,
    ROLES,
    SECOND_TEXT,
    TEXTS,
    add_extension,
    attribute_of,
)
from .text import joined

ENTITIES, CLASSES, CHOICES, ASKED_QUESTIONS = "entities", "classes", "choices", "questions"
ANSWERED, UNANSWERABLE = "answered", "unanswerable"
RIGHT_ABOVE = 0.5  # a class with a higher value is right
ASKED = (QUESTIONS, SECOND_TEXT, CANDIDATES)
GIVEN_GROUPS = (PREDICATES, TEXTS, MARKED)

Identity = tuple[str, ...]


class Annotation(NamedTuple):
    """One annotation: its kind, its label, the text that it is about."""

    kind: str
    label: str
    text: str = ""


def annotations_of(doc: Doc) -> Iterator[Annotation]:
    """Yield all gold annotations of a Doc but tags and trees."""
    for ent in doc.ents:
        yield Annotation(ENTITIES, ent.label_, joined(ent.text))
    for label in right_classes(doc):
        yield Annotation(CLASSES, label)
    for choice in choices_of(doc):
        yield Annotation(CHOICES, str(choice))
    for answers in answers_of(doc):
        texts = sorted({joined(answer["answer"]) for answer in answers})
        yield Annotation(ASKED_QUESTIONS, ANSWERED if answers else UNANSWERABLE, " | ".join(texts))
    for key, group in doc.spans.items():
        if key not in GIVEN_GROUPS:
            kind = ROLES if key == ROLES else f"spans in {key}"
            for span in group:
                yield Annotation(kind, span.label_, f"{span.id_} {joined(span.text)}")


def right_classes(doc: Doc) -> list[str]:
    """Return the classes of a gold Doc."""
    return [label for label, value in doc.cats.items() if value > RIGHT_ABOVE]


def choices_of(doc: Doc) -> list[int]:
    """Return the numbers of the right choices of a gold Doc."""
    choice = attribute_of(doc, CHOICE)
    return [] if choice is None else list(choice) if isinstance(choice, list | tuple) else [choice]


def identity_of(doc: Doc) -> Identity:
    """Return a Doc's text with single spaces, and what is asked of it. Docs with both alike are one example."""
    asked = [str(value) for name in ASKED if (value := attribute_of(doc, name)) is not None]
    groups = [(key, [joined(span.text) for span in doc.spans[key]]) for key in GIVEN_GROUPS if key in doc.spans]
    return (joined(doc.text), *asked, *(f"{key} {texts}" for key, texts in groups))


for _name in (*ASKED, CHOICE):  # of Docs from a file, which nobody has added yet
    add_extension(_name)
