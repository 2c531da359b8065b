"""The input of one backbone pass: padded windows, and which rows and hidden states each adapter reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Reading:
    """What one encoder reads of a batch.

    rows (Tensor): The windows. Shape: (n_rows,)
    wanted (Tensor): The hidden states to return, as indices into flattened rows x pieces. Shape: (n_wanted,)
    """

    rows: torch.Tensor
    wanted: torch.Tensor


@dataclass(frozen=True)
class PieceBatch:
    """Padded windows for one forward pass.

    ids (Tensor): Piece ids. Shape: (windows, pieces)
    mask (Tensor): 1 for pieces, 0 for padding; same shape.
    word_shape (Tensor): The shape class of each piece's word, 0 for special pieces and padding; same shape.
    readings (Sequence[Reading]): One for each encoder.
    types (Tensor | None): Token types, same shape; None where all are 0.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    word_shape: torch.Tensor
    readings: Sequence[Reading]
    types: torch.Tensor | None = None

    def to(self, device: torch.device) -> PieceBatch:
        """Return the batch on a device."""
        readings = [Reading(reading.rows.to(device), reading.wanted.to(device)) for reading in self.readings]
        types = None if self.types is None else self.types.to(device)
        return PieceBatch(self.ids.to(device), self.mask.to(device), self.word_shape.to(device), readings, types)


@dataclass(frozen=True)
class WindowBatches:
    """All windows of some documents, in batches.

    orders (Sequence[Tensor]): For each encoder, `states[order]` puts the hidden states of all batches into the order
        that was asked for. Shape of each: (sum of its n_wanted,)
    """

    batches: Sequence[PieceBatch]
    orders: Sequence[torch.Tensor]
