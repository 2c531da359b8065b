"""What is doubtful about single gold Docs: annotations that training skips or refuses, or that no prediction can equal.

In: a Doc and the tokenizer that a pipeline will use. Out: findings, each of a kind and with the text that it is about.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from spacy.language import Language
from spacy.tokens import Doc, Span

from ..annotations.answers import answers_of
from ..annotations.names import PREDICATES, ROLES, SECOND_TEXT, attribute_of
from .contents import choices_of, right_classes

Kind = Literal[
    "empty",
    "unannotated",
    "partly_annotated",
    "misaligned",
    "whitespace_edge",
    "whitespace_inside",
    "across_sentences",
    "unclassified",
    "several_classes",
    "impossible_choice",
    "misplaced_answer",
    "role_of_nothing",
    "duplicate",
    "contradiction",
]
FINDINGS: dict[Kind, str] = {
    "empty": "Documents without text",
    "unannotated": "Documents that say for no token whether it is in an entity; training skips them",
    "partly_annotated": "Documents that do not say it for some tokens; training skips these tokens",
    "misaligned": "Entities that start or end inside a token of this tokenizer; training skips the token",
    "whitespace_edge": "Entities that start or end with white space, as no prediction does",
    "whitespace_inside": "Entities with line breaks, tabs or several spaces inside",
    "across_sentences": "Entities that go on in the next sentence",
    "unclassified": "Documents without a class, while others have one; training skips them",
    "several_classes": "Documents with several classes; text_classifier takes one, textcat_multilabel several",
    "impossible_choice": "Documents whose right choice is not among their choices",
    "misplaced_answer": "Answers that are not the text at their offsets",
    "role_of_nothing": "Roles that belong to no predicate; training skips them",
    "duplicate": "Documents that were there before, annotated alike",
    "contradiction": "Documents that were there before, annotated differently",
}


class Finding(NamedTuple):
    """A doubtful place: the index of its Doc, from 0, and the text there."""

    doc: int
    text: str


def find(doc: Doc, nlp: Language) -> Iterator[tuple[Kind, str]]:
    """Yield what is doubtful about a Doc on its own. nlp (Language): Its tokenizer determines what is misaligned."""
    yield from _of_doc(doc)
    yield from _of_entities(doc, nlp)
    yield from _of_tasks(doc)


def _of_doc(doc: Doc) -> Iterator[tuple[Kind, str]]:
    """Yield what is doubtful about a whole Doc."""
    unknown = [token for token in doc if not token.ent_iob_]
    if not doc.text.strip():
        yield "empty", doc.text
    elif len(unknown) == len(doc):
        yield "unannotated", doc.text
    elif unknown:
        yield "partly_annotated", " ".join(token.text for token in unknown)


def _of_entities(doc: Doc, nlp: Language) -> Iterator[tuple[Kind, str]]:
    """Yield what is doubtful about each entity. In Docs made from words alone, the words are the tokens."""
    read = nlp.make_doc(doc.text) if doc.ents and not doc.has_unknown_spaces else doc
    for ent in doc.ents:
        start, end = _without_edges(ent)
        if start < end and read.char_span(start, end) is None:
            tokens = [token.text for token in read if token.idx < end and token.idx + len(token) > start]
            yield "misaligned", f"{doc.text[start:end]}: {' | '.join(tokens)}"
        if ent.text != ent.text.strip():
            yield "whitespace_edge", ent.text
        elif any(char.isspace() for token in ent for char in token.text):
            yield "whitespace_inside", ent.text
        if any(token.is_sent_start for token in ent[1:]):
            yield "across_sentences", ent.text


def _of_tasks(doc: Doc) -> Iterator[tuple[Kind, str]]:
    """Yield what is doubtful about classes, choices, answers and roles."""
    right = right_classes(doc)
    if len(right) > 1:
        yield "several_classes", f"{', '.join(right)}: {doc.text}"
    elif not right and doc.text.strip():
        yield "unclassified", doc.text
    second = attribute_of(doc, SECOND_TEXT)
    n_choices = len(second) if isinstance(second, list | tuple) else 1
    for choice in choices_of(doc):
        if not (isinstance(choice, int) and 0 <= choice < n_choices):
            yield "impossible_choice", f"{choice} of {n_choices}: {doc.text}"
    for answer in (answer for answers in answers_of(doc) for answer in answers):
        found = doc.text[answer["start"] : answer["end"]]
        if found != answer["answer"]:
            yield "misplaced_answer", f"{answer['answer']}: {found}"
    numbers = {str(number) for number in range(len(doc.spans.get(PREDICATES, ())))}
    for role in doc.spans.get(ROLES, ()):
        if role.id_ not in numbers:
            yield "role_of_nothing", f"{role.label_}: {role.text}"


def _without_edges(ent: Span) -> tuple[int, int]:
    """Return where an entity starts and ends, in characters, without white space at its edges.

    If it is all white space, it ends before it starts.
    """
    text = ent.text
    return ent.end_char - len(text.lstrip()), ent.start_char + len(text.rstrip())
