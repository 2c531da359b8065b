"""Locates rows (tokens, whole sequences or marked spans) in the windows that hold their pieces.

A piece is read from the window that owns it. A piece that no window holds is read from the leading piece of its
sequence's first window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .bodies import Bodies, Places
from .encoded import RowKind, Rows, WantedStates
from .frames import Frames
from .pieces import NO_PIECE, Ints1d, ramps, starts_of
from .sequences import InputSequence
from .windows import Windows


@dataclass(frozen=True)
class Locator:
    """Locates rows of some sequences, given what the earlier steps made of them."""

    sequences: Sequence[InputSequence]
    places: Places
    bodies: Bodies
    windows: Windows
    frames: Frames

    def rows(self, kind: RowKind, *, last_piece: bool) -> Rows:
        """Return the rows of all sequences.

        last_piece (bool): Read a whole sequence from the last piece of each of its windows, not from the first.
        """
        if kind == "sequence":
            return self._whole(last_piece=last_piece)
        if kind == "tokens":
            bounds = np.array([self.places.tokens(s.body) for s in self.sequences], dtype=np.int64).reshape(-1, 2)
            per_sequence = bounds[:, 1] - bounds[:, 0]
            tokens = np.repeat(bounds[:, 0], per_sequence) + ramps(per_sequence)
            return self._of_tokens(tokens, np.ones_like(tokens), per_sequence)
        marked = [[self.places.tokens(span) for span in sequence.spans] for sequence in self.sequences]
        spans = np.array([pair for own in marked for pair in own], dtype=np.int64).reshape(-1, 2)
        tokens_per_row = spans[:, 1] - spans[:, 0]
        tokens = np.repeat(spans[:, 0], tokens_per_row) + ramps(tokens_per_row)
        per_sequence = np.fromiter(map(len, marked), dtype=np.int64, count=len(marked))
        return self._of_tokens(tokens, tokens_per_row, per_sequence)

    def _whole(self, *, last_piece: bool) -> Rows:
        per_sequence = self.windows.per_body
        n_windows = int(per_sequence.sum())
        sequence = np.repeat(np.arange(len(per_sequence)), per_sequence)
        bodies = self.windows.ends - self.windows.starts
        columns = self.frames.n_before[sequence] + bodies + self.frames.n_after[sequence] - 1
        states = WantedStates(np.arange(n_windows), columns if last_piece else np.zeros_like(columns))
        return Rows(states, per_sequence, np.ones_like(per_sequence))

    def _of_tokens(self, tokens: Ints1d, tokens_per_row: Ints1d, per_sequence: Ints1d) -> Rows:
        """Return rows made of one or more tokens each. tokens (Ints1d): Their indices, counted through all Docs."""
        pieces = self.places.pieces
        counts = pieces.pieces_per_token[tokens]
        row = np.repeat(np.arange(len(tokens_per_row)), tokens_per_row)
        sequence_of_row = np.repeat(np.arange(len(per_sequence)), per_sequence)
        place = np.repeat(pieces.first[tokens], counts) + ramps(counts)
        lengths = np.bincount(row, weights=counts, minlength=len(tokens_per_row)).astype(np.int64)
        return Rows(self._locate(np.repeat(sequence_of_row[row], counts), place), lengths, per_sequence)

    def _locate(self, sequence: Ints1d, place: Ints1d) -> WantedStates:
        """Return where pieces are read. sequence (Ints1d): The sequence of each piece. Shape of both: (n,)"""
        first_window = starts_of(self.windows.per_body)
        window, column = first_window[sequence], np.zeros_like(place)
        in_body = (self.bodies.start[sequence] <= place) & (place < self.bodies.end[sequence])
        own = np.flatnonzero(in_body)
        line = self.bodies.on_line(sequence[own], place[own])
        covered = self.windows.source[line] != NO_PIECE
        own, line = own[covered], line[covered]
        window[own] = owner = self.windows.owner[line]
        column[own] = self.frames.n_before[sequence[own]] + self.windows.source[line] - self.windows.starts[owner]
        rest = np.flatnonzero(~in_body)
        if len(rest):
            column[rest] = self._in_frames(sequence[rest], place[rest], window[rest])
        return WantedStates(window, column)

    def _in_frames(self, sequence: Ints1d, place: Ints1d, window: Ints1d) -> Ints1d:
        """Return the columns, in each first window, of pieces of the text that stays; 0 for pieces outside it."""
        frames = self.frames
        offset = place - frames.other_start[sequence]
        is_there = (offset >= 0) & (place < frames.other_end[sequence])
        bodies = self.windows.ends - self.windows.starts
        skipped = np.where(frames.is_first[sequence], 0, frames.n_before[sequence] + bodies[window])
        columns: Ints1d = np.where(is_there, skipped + frames.n_special[sequence] + offset, 0)
        return columns
