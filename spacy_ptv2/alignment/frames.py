"""Frames: the pieces around the body of a sequence, such as special pieces, a question or a second text.

In: sequences, the pieces of their Docs, the special pieces of a backbone. Out: a frame for each sequence. All sequences
of a single text share one frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..backbones.backbone import Backbone
from .bodies import Places
from .pieces import Ints1d, starts_of
from .sequences import InputSequence
from .word_shape import NONE


@dataclass(frozen=True)
class Part:
    """A run of pieces. ids, word_shape, types (Ints1d): Piece ids, shape classes, token types. Shape: (n_pieces,)"""

    ids: Ints1d
    word_shape: Ints1d
    types: Ints1d

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Frame:
    """The pieces around the body of a sequence.

    before, after (Part): The pieces.
    body_type (int): The token type of the body.
    other (tuple[int, int]): The range of the pieces of the text that stays in every window, end exclusive.
    is_first (bool): Whether that text comes before the body.
    n_special (int): Number of special pieces before that text, on its side of the body.
    """

    before: Part
    after: Part
    body_type: int = 0
    other: tuple[int, int] = (0, 0)
    is_first: bool = False
    n_special: int = 0


@dataclass(frozen=True)
class Frames:
    """The frames of sequences.

    parts (list[Frame]): The distinct frames.
    of (Ints1d): The index of each sequence's frame. Shape: (n_sequences,)
    """

    parts: list[Frame]
    of: Ints1d

    def _column(self, values: Sequence[int]) -> Ints1d:
        return np.array(values, dtype=np.int64)[self.of]

    @property
    def n_before(self) -> Ints1d:
        """Number of pieces before the body. Shape of this and of all that follow: (n_sequences,)"""
        return self._column([len(frame.before) for frame in self.parts])

    @property
    def n_after(self) -> Ints1d:
        """Number of pieces after the body."""
        return self._column([len(frame.after) for frame in self.parts])

    @property
    def other_start(self) -> Ints1d:
        """The first piece of the text that stays in every window, by its index among the pieces of all Docs."""
        return self._column([frame.other[0] for frame in self.parts])

    @property
    def other_end(self) -> Ints1d:
        """The index after the last piece of that text."""
        return self._column([frame.other[1] for frame in self.parts])

    @property
    def is_first(self) -> Ints1d:
        """1 where that text comes before the body."""
        return self._column([frame.is_first for frame in self.parts])

    @property
    def n_special(self) -> Ints1d:
        """Number of special pieces before that text, on its side of the body."""
        return self._column([frame.n_special for frame in self.parts])

    @property
    def body_types(self) -> Ints1d:
        """The token type of the body."""
        return self._column([frame.body_type for frame in self.parts])


@dataclass(frozen=True)
class Ragged:
    """Joined parts. starts, lengths (Ints1d): Where each part starts, and its length. Shape of both: (n_parts,)"""

    part: Part
    starts: Ints1d
    lengths: Ints1d

    @classmethod
    def of(cls, parts: Sequence[Part]) -> Ragged:
        """Join parts and record where each of them is."""
        lengths = np.array([len(part) for part in parts], dtype=np.int64)
        return cls(_join(*parts), starts_of(lengths), lengths)


def build_frames(sequences: Sequence[InputSequence], places: Places, backbone: Backbone, window: int) -> Frames:
    """Build the frames of sequences.

    window (int): The most pieces in a window. The text that stays in every window gets at most half of what the special
        pieces leave; a longer text is truncated.
    """
    prefix, suffix = backbone.special_pieces
    parts = [Frame(_special(prefix), _special(suffix))]
    known: dict[tuple[int, int, bool], int] = {}
    of = []
    for sequence in sequences:
        if sequence.other is None:
            of.append(0)
            continue
        special = backbone.pair_pieces
        start, end = places.piece_range(sequence.other)
        most = (window - len(special.start) - len(special.between) - len(special.end)) // 2
        key = (start, min(end, start + max(0, most)), sequence.other_first)
        if key not in known:
            known[key] = len(parts)
            parts.append(_pair_frame(backbone, places, *key))
        of.append(known[key])
    return Frames(parts, np.array(of, dtype=np.int64))


def _pair_frame(backbone: Backbone, places: Places, start: int, end: int, is_first: bool) -> Frame:
    special, pieces = backbone.pair_pieces, places.pieces
    first = _special(special.start)
    between, last = _special(special.between, special.between_types), _special(special.end, special.end_types)
    token_type = 0 if is_first else special.second_type
    types = np.full(end - start, token_type, dtype=np.int64)
    other = Part(pieces.ids[start:end], pieces.word_shape[start:end], types)
    if is_first:
        return Frame(_join(first, other, between), last, special.second_type, (start, end), True, len(first))
    return Frame(first, _join(between, other, last), 0, (start, end), False, len(between))


def _special(ids: Sequence[int], types: Sequence[int] = ()) -> Part:
    """Return special pieces as a part. types (Sequence[int]): Token types; empty for all 0."""
    shape = np.full(len(ids), NONE, dtype=np.int64)
    return Part(np.array(ids, dtype=np.int64), shape, np.array(types or [0] * len(ids), dtype=np.int64))


def _join(*parts: Part) -> Part:
    columns = zip(*((part.ids, part.word_shape, part.types) for part in parts), strict=True)
    return Part(*(np.concatenate(column) for column in columns))
