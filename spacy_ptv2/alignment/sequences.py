"""A sequence: one input of the backbone, in terms of Docs. Layouts make them.

In: Docs. Out: for each input a text that windows slide over and, where a task has one, another text that stays in every
window: a question, a predicate, the second text of a pair.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from spacy.tokens import Doc, Span


@dataclass(frozen=True)
class InputSequence:
    """One input of the backbone.

    doc (int): The number of the Doc whose result it is.
    body (Span): What windows slide over, in that Doc.
    other (Span | None): The text that stays in every window, of that Doc or of another; None for a single text.
    other_first (bool): Whether it stands before the body.
    markers (Sequence[tuple[int, str]]): Texts put into the body, in order, each before a token of the Doc, by its
        number; `body.end` for after the last one.
    stretches (Sequence[tuple[int, int]] | None): Tokens of the Doc that windows do not cross; None for the whole body.
    spans (Sequence[Span]): Marked spans, in the body, or in `other` where that is of the same Doc.
    group (int): Sequences of one group are scored together, as the choices of one question.
    """

    doc: int
    body: Span
    other: Span | None = None
    other_first: bool = False
    markers: Sequence[tuple[int, str]] = ()
    stretches: Sequence[tuple[int, int]] | None = None
    spans: Sequence[Span] = ()
    group: int = 0

    @property
    def key(self) -> Hashable:
        """All that decides on its pieces and rows, the Doc itself apart."""
        other = None if self.other is None else (self.other.text, self.other.start, self.other_first)
        spans = tuple((span.start, span.end) for span in self.spans)
        stretches = None if self.stretches is None else tuple(self.stretches)
        return self.body.start, self.body.end, other, tuple(self.markers), stretches, spans


@runtime_checkable
class Layout(Protocol):
    """Makes sequences of Docs."""

    @property
    def given(self) -> tuple[str, ...]:
        """What the sequences are made of, in addition to the words; see `annotations.given.give`."""

    def __call__(self, docs: Sequence[Doc]) -> list[InputSequence]:
        """Return the sequences, in the order of their Docs."""

    def split(self, doc: Doc, most: int) -> list[Doc]:
        """Return copies of a Doc with at most so many of its sequences each, in order."""
