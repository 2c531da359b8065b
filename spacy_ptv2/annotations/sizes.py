"""How much the backbone reads for an example, for batchers."""

from __future__ import annotations

from collections.abc import Callable

from spacy.training import Example

from .names import PREDICATES, QUESTIONS, SECOND_TEXT, texts_of


def build_input_length_v1() -> Callable[[Example], int]:
    """Build what `get_length` of spaCy's batchers takes, for tasks that read a Doc several times.

    RETURNS (Callable[[Example], int]): The tokens of an example, times its questions, second texts or predicates.
    """
    return input_length


def input_length(example: Example) -> int:
    """Return the tokens of an example, as often as it is read, once at least."""
    doc = example.predicted
    counts = [len(texts_of(doc, name)) for name in (QUESTIONS, SECOND_TEXT) if doc.has_extension(name)]
    return len(doc) * max(1, *counts, len(doc.spans.get(PREDICATES, ())))
