"""A sequence: one input of the backbone, described in terms of Docs. Layouts make sequences from Docs.

Each has a body, the text that windows slide over. Some tasks add another text, which stays in every window: a question,
a predicate, the second text of a pair.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from spacy.tokens import Doc, Span


@dataclass(frozen=True)
class InputSequence:
    """One input of the backbone.

    doc (int): The index of the Doc that its result belongs to.
    body (Span): What windows slide over, in that Doc.
    other (Span | None): The text that stays in every window, from that Doc or another; None for a single text.
    other_first (bool): Whether `other` comes before the body.
    stretches (Sequence[tuple[int, int]] | None): Token ranges of the Doc whose bounds no window crosses; None for the
        whole body.
    spans (Sequence[Span]): Marked spans, in the body, or in `other` where it is from the same Doc.
    mark (bool): Whether the pieces of marked spans in the body get the trained vector of that class.
    group (int): Sequences of one group are scored together, for example the choices of one question.
    """

    doc: int
    body: Span
    other: Span | None = None
    other_first: bool = False
    stretches: Sequence[tuple[int, int]] | None = None
    spans: Sequence[Span] = ()
    mark: bool = False
    group: int = 0

    @property
    def key(self) -> Hashable:
        """Everything that determines its pieces and rows, except for the Doc itself."""
        other = None if self.other is None else (self.other.text, self.other.start, self.other_first)
        spans = tuple((span.start, span.end) for span in self.spans)
        stretches = None if self.stretches is None else tuple(self.stretches)
        return self.body.start, self.body.end, other, stretches, spans, self.mark

    @property
    def n_tokens(self) -> int:
        """How many tokens the backbone reads."""
        return len(self.body) + (0 if self.other is None else len(self.other))


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
