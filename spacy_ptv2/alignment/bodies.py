"""Finds the texts of sequences among the pieces of all Docs, and lines up the bodies that windows slide over.

In: sequences and the pieces of their Docs. Out: the bodies on one line of pieces, with the markers inserted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from spacy.tokens import Span

from .pieces import DocPieces, Ints1d, ramps, starts_of
from .sequences import InputSequence
from .tokenization import tokenize
from .word_shape import MARKED, NONE


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
    lengths (Ints1d): Number of pieces of each body on the line, markers included. Shape: (n_sequences,)
    ids, word_shape (Ints1d): The line: piece ids and shape classes. Shape: (sum of lengths,)
    marks (Ints1d): For each piece of a marker, the number of other pieces before it on the line. Ascending.
    """

    start: Ints1d
    end: Ints1d
    lengths: Ints1d
    ids: Ints1d
    word_shape: Ints1d
    marks: Ints1d

    @cached_property
    def starts(self) -> Ints1d:
        """Where each body begins on the line. Shape: (n_sequences,)"""
        return starts_of(self.lengths)

    @cached_property
    def _unmarked_starts(self) -> Ints1d:
        return starts_of(self.end - self.start)

    def on_line(self, sequence: Ints1d, place: Ints1d) -> Ints1d:
        """Return the positions on the line of pieces, each given with its sequence. Shape of all: (n,)"""
        unmarked = self._unmarked_starts[sequence] + place - self.start[sequence]
        marked: Ints1d = unmarked + np.searchsorted(self.marks, unmarked, side="right")
        return marked


def line_up(sequences: Sequence[InputSequence], places: Places, tokenizer: Any, special_ids: frozenset[int]) -> Bodies:
    """Put the bodies of sequences on one line. special_ids (frozenset[int]): See `tokenize`."""
    pieces = places.pieces
    ranges = np.array([places.piece_range(s.body) for s in sequences], dtype=np.int64).reshape(-1, 2)
    start, end = ranges[:, 0], ranges[:, 1]
    lengths = end - start
    place = np.repeat(start, lengths) + ramps(lengths)
    ids, shapes = pieces.ids[place], pieces.word_shape[place]
    markers = sorted({text for sequence in sequences for _, text in sequence.markers})
    ids_of = dict(zip(markers, tokenize(markers, tokenizer, special_ids)[0], strict=True))
    inserted = _inserted(sequences, places, start, lengths, ids_of)
    marks = np.zeros(0, dtype=np.int64)
    if len(inserted):
        sequence, marks, marker_ids = inserted.T
        lengths = lengths + np.bincount(sequence, minlength=len(sequences))
        ids, shapes = np.insert(ids, marks, marker_ids), np.insert(shapes, marks, NONE)
    bodies = Bodies(start, end, lengths, ids, shapes, marks)
    _mark(sequences, places, bodies)
    return bodies


def _mark(sequences: Sequence[InputSequence], places: Places, bodies: Bodies) -> None:
    """Set the class of the pieces of marked spans, where a layout asks for that."""
    for number, sequence in enumerate(sequences):
        for span in sequence.spans if sequence.mark_embedding else ():
            place = np.arange(*places.piece_range(span))
            place = place[(place >= bodies.start[number]) & (place < bodies.end[number])]
            bodies.word_shape[bodies.on_line(np.full(len(place), number), place)] = MARKED


def _inserted(
    sequences: Sequence[InputSequence],
    places: Places,
    start: Ints1d,
    lengths: Ints1d,
    ids_of: Mapping[str, Sequence[int]],
) -> Ints1d:
    """Return (sequence, number of pieces before it on the line, piece id) for each piece of a marker. Shape: (n, 3)

    ids_of (Mapping[str, Sequence[int]]): The piece ids of each marker's text.
    """
    found = []
    for number, (sequence, offset) in enumerate(zip(sequences, starts_of(lengths).tolist(), strict=True)):
        if not sequence.markers:
            continue
        first_token = places.tokens(sequence.body)[0] - sequence.body.start
        for token, text in sequence.markers:
            while token < sequence.body.end and not places.pieces.pieces_per_token[first_token + token]:
                token += 1  # the marker goes before the next word: tokens of spaces have no pieces
            mark = offset + int(lengths[number])
            if token < sequence.body.end:
                mark = offset + int(places.pieces.first[first_token + token] - start[number])
            found += [(number, mark, piece) for piece in ids_of[text]]
    return np.array(found, dtype=np.int64).reshape(-1, 3)
