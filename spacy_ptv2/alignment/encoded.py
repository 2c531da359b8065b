"""Encoded Docs: windows of pieces for a backbone, and the rows that a layer makes from its hidden states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from .pieces import Ints1d

RowKind = Literal["tokens", "sequence", "spans"]


@dataclass(frozen=True)
class EncodedWindows:
    """Windows of pieces, one after the other, special pieces included.

    flat_ids, flat_word_shapes (Ints1d): Piece ids, and the shape classes of their words. Shape: (n_pieces,)
    flat_types (Ints1d | None): Token types, same shape; None where all are 0.
    lengths (Ints1d): Number of pieces of each window. Shape: (n_windows,)
    """

    flat_ids: Ints1d
    flat_word_shapes: Ints1d
    flat_types: Ints1d | None
    lengths: Ints1d

    @cached_property
    def ids(self) -> list[Ints1d]:
        """The piece ids of each window."""
        return np.split(self.flat_ids, np.cumsum(self.lengths)[:-1]) if len(self.lengths) else []


@dataclass(frozen=True)
class WantedStates:
    """The hidden states that one encoder is to return, in order. window, column (Ints1d): Shape of both: (n_wanted,)"""

    window: Ints1d
    column: Ints1d


@dataclass(frozen=True)
class Rows:
    """The rows that a layer returns, and the hidden states that each is pooled from.

    states (WantedStates): The hidden states of all rows, in order.
    lengths (Ints1d): Number of hidden states of each row; 0 for a token of spaces and for a sequence without tokens.
        Shape: (n_rows,)
    per_sequence (Ints1d): Number of rows of each sequence. Shape: (n_sequences,)
    """

    states: WantedStates
    lengths: Ints1d
    per_sequence: Ints1d


@dataclass(frozen=True)
class EncodedDocs:
    """The sequences of some Docs as windows and rows.

    windows (EncodedWindows): What the backbone reads.
    rows (Rows): What is made from its hidden states.
    windows_per_sequence (Ints1d): Number of windows of each sequence. Shape: (n_sequences,)
    doc_of (Ints1d): The index of the Doc that each sequence belongs to, ascending. Shape: (n_sequences,)
    """

    windows: EncodedWindows
    rows: Rows
    windows_per_sequence: Ints1d
    doc_of: Ints1d


def concatenate(all_windows: Sequence[EncodedWindows]) -> EncodedWindows:
    """Join windows, in order."""
    if len(all_windows) == 1:
        return all_windows[0]
    types = None
    if any(windows.flat_types is not None for windows in all_windows):
        types = np.concatenate(
            [
                np.zeros_like(windows.flat_ids) if windows.flat_types is None else windows.flat_types
                for windows in all_windows
            ]
        )
    return EncodedWindows(
        np.concatenate([windows.flat_ids for windows in all_windows]),
        np.concatenate([windows.flat_word_shapes for windows in all_windows]),
        types,
        np.concatenate([windows.lengths for windows in all_windows]),
    )
