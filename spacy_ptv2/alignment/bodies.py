"""Finds the texts of sequences among the pieces of all Docs, and lines up the bodies that windows slide over.

In: sequences and the pieces of their Docs. Out: the bodies on one line of pieces, marked ones known by their class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from spacy.tokens import Span

from .pieces import DocPieces, Ints1d, ramps, starts_of
from .sequences import InputSequence
from .word_shape import MARKED


class Places:
    """Finds spans of Docs in the pieces of all Docs.

    pieces (DocPieces): The pieces of all Docs.
    keys (Sequence[int]): The id of each Doc.
    """

    def __init__(self, pieces: DocPieces, keys: Sequence[int]) -> None:
        self.pieces = pieces
        self._number = {key: number for number, key in enumerate(keys)}
        self._first_token = starts_of(pieces.tokens_per_doc)
        self._first_piece = starts_of(pieces.pieces_per_doc)

    def tokens(self, span: Span) -> tuple[int, int]:
        """Return the range of a span's tokens, counted through all Docs, end exclusive."""
        first = int(self._first_token[self._number[id(span.doc)]])
        return first + span.start, first + span.end

    def piece_range(self, span: Span) -> tuple[int, int]:
        """Return the range of a span's pieces, end exclusive. A whole Doc has all of its pieces."""
        number = self._number[id(span.doc)]
        first = int(self._first_piece[number])
        end = first + int(self.pieces.pieces_per_doc[number])
        if first == end or (span.start, span.end) == (0, len(span.doc)):
            return first, end
        if span.start == span.end:
            return first, first
        a, b = self.tokens(span)
        return int(self.pieces.first[a]), int(self.pieces.last[b - 1]) + 1


@dataclass(frozen=True)
class Bodies:
    """The bodies of sequences on one line of pieces.

    start, end (Ints1d): The range of each body among the pieces of all Docs. Shape: (n_sequences,)
    ids, word_shape (Ints1d): The line: piece ids and shape classes. Shape: (sum of lengths,)
    """

    start: Ints1d
    end: Ints1d
    ids: Ints1d
    word_shape: Ints1d

    @property
    def lengths(self) -> Ints1d:
        """Number of pieces of each body. Shape: (n_sequences,)"""
        return self.end - self.start

    @cached_property
    def starts(self) -> Ints1d:
        """Where each body begins on the line. Shape: (n_sequences,)"""
        return starts_of(self.lengths)

    def on_line(self, sequence: Ints1d, place: Ints1d) -> Ints1d:
        """Return the positions on the line of pieces, each given with its sequence. Shape of all: (n,)"""
        positions: Ints1d = self.starts[sequence] + place - self.start[sequence]
        return positions


def line_up(sequences: Sequence[InputSequence], places: Places) -> Bodies:
    """Put the bodies of sequences on one line. Where a layout marks spans, their pieces get a class of their own."""
    pieces = places.pieces
    ranges = np.array([places.piece_range(s.body) for s in sequences], dtype=np.int64).reshape(-1, 2)
    start, end = ranges[:, 0], ranges[:, 1]
    place = np.repeat(start, end - start) + ramps(end - start)
    bodies = Bodies(start, end, pieces.ids[place], pieces.word_shape[place])
    for number, sequence in enumerate(sequences):
        for span in sequence.spans if sequence.mark else ():
            marked = np.arange(*places.piece_range(span))
            marked = marked[(marked >= start[number]) & (marked < end[number])]
            bodies.word_shape[bodies.on_line(np.full(len(marked), number), marked)] = MARKED
    return bodies
