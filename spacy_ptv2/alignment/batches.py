"""Groups windows into padded batches: sorted by length, each batch within a budget of padded pieces.

In: encoded windows, and the hidden states that each encoder wants of them. Out: `WindowBatches`, as tensors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ..adapters.batches import PieceBatch, Reading, WindowBatches
from .encoded import EncodedWindows, WantedStates
from .pieces import Ints1d, starts_of

# The fixed cost of a batch, in pieces: the Python code of all layers, in training also that of the backward pass. On a
# GPU pieces are cheap, so the fixed cost is large in comparison.
CPU_BATCH_COST, CPU_TRAINING_BATCH_COST, GPU_BATCH_COST = 64, 120, 4096


def batch_windows(
    windows: EncodedWindows,
    wanted: Sequence[WantedStates],
    *,
    budget: int,
    pad_id: int,
    is_train: bool,
    per_batch: int,
) -> WindowBatches:
    """Pad the windows into batches and look up what each encoder reads of them.

    wanted (Sequence[WantedStates]): One for each encoder, which reads the windows that it wants a hidden state of.
    budget (int): The most padded pieces in a batch; a longer window gets a batch of its own. In prediction a window
        counts once for each encoder that reads it. In training it counts once: activations of all batches are kept
        anyway, and this way every encoder gets the batches that it would get alone.
    per_batch (int): The cost of one more batch, in padded pieces. A higher cost makes fewer batches.
    """
    lengths = windows.lengths
    is_read = np.zeros((len(wanted), len(lengths)), dtype=bool)
    for reader, states in enumerate(wanted):
        is_read[reader, states.window] = True
    n_readers = is_read.any(axis=0) if is_train else is_read.sum(axis=0)
    rows = n_readers.astype(int).tolist()
    groups = group_with_little_padding(lengths.tolist(), budget, rows, per_batch=per_batch)
    batch_of = np.zeros(len(lengths), dtype=np.int64)
    for number, group in enumerate(groups):
        batch_of[group] = number
    by_reader = [_readings(groups, batch_of, lengths, *pair) for pair in zip(is_read, wanted, strict=True)]
    readings_of = list(zip(*(readings for readings, _ in by_reader), strict=True))
    batches = [_pad_batch(windows, *pair, pad_id) for pair in zip(groups, readings_of, strict=True)]
    return WindowBatches(batches, [order for _, order in by_reader])


def _readings(
    groups: Sequence[list[int]], batch_of: Ints1d, lengths: Ints1d, is_read: NDArray[np.bool_], wanted: WantedStates
) -> tuple[list[Reading], torch.Tensor]:
    """Return what one encoder reads of each batch, and the order that puts its hidden states as it wants them."""
    first_piece = np.zeros(len(batch_of), dtype=np.int64)  # of each window, in the rows that this encoder reads
    rows = [np.flatnonzero(is_read[group]) for group in groups]
    for group, own in zip(groups, rows, strict=True):
        first_piece[np.asarray(group)[own]] = np.arange(len(own)) * lengths[group[-1]]
    batch = batch_of[wanted.window]
    by_batch = np.argsort(batch, kind="stable")
    places = (first_piece[wanted.window] + wanted.column)[by_batch]
    bounds = np.searchsorted(batch[by_batch], np.arange(len(groups) + 1))
    order = np.argsort(by_batch)
    readings = [
        Reading(torch.from_numpy(own), torch.from_numpy(places[bounds[i] : bounds[i + 1]]))
        for i, own in enumerate(rows)
    ]
    return readings, torch.from_numpy(order)


def group_with_little_padding(
    lengths: Sequence[int], budget: int, n_readers: Sequence[int] | None = None, *, per_batch: int = CPU_BATCH_COST
) -> list[list[int]]:
    """Group indices by length, the shortest first, so that all groups together take the least time.

    budget (int): The limit of a group's longest length times its number of rows. A longer item gets its own group.
    n_readers (Sequence[int] | None): How many rows each item makes, 0 to leave it out; None for one row each.
    per_batch (int): The cost of one more group in addition to its padded pieces, in pieces.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    order = [index for index in order if n_readers is None or n_readers[index]]
    rows = np.cumsum([0, *(1 if n_readers is None else n_readers[index] for index in order)])
    # cost[n]: the least cost of the n shortest windows; start[n]: where the last of their groups starts
    cost, start = np.zeros(len(order) + 1), np.zeros(len(order) + 1, dtype=np.int64)
    for end, index in enumerate(order, start=1):
        first = min(int(np.searchsorted(rows, rows[end] - budget // max(1, lengths[index]))), end - 1)
        totals = cost[first:end] + lengths[index] * (rows[end] - rows[first:end])
        best = int(totals.argmin())
        start[end], cost[end] = first + best, totals[best] + per_batch
    groups: list[list[int]] = []
    end = len(order)
    while end:
        groups.append(order[start[end] : end])
        end = int(start[end])
    return groups[::-1]


def _pad_batch(windows: EncodedWindows, group: list[int], readings: Sequence[Reading], pad_id: int) -> PieceBatch:
    lengths = windows.lengths[group]
    columns = np.arange(lengths[-1])
    is_piece = columns < lengths[:, None]
    places = np.where(is_piece, starts_of(windows.lengths)[group][:, None] + columns, 0)
    ids = np.where(is_piece, windows.flat_ids[places], pad_id)
    word_shape = np.where(is_piece, windows.flat_word_shapes[places], 0)
    mask = is_piece.astype(np.int64)
    types = None
    if windows.flat_types is not None:
        types = torch.from_numpy(np.where(is_piece, windows.flat_types[places], 0))
    return PieceBatch(torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(word_shape), readings, types)
