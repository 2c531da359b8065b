"""From Docs to padded windows for the backbone, and back from its states to tokens.

In: Docs, a backbone, window settings. Out: `EncodedDocs` (windows with special pieces, the place of every token's
pieces in them) and `WindowBatches` (padded, sorted by length, each within a budget of padded pieces).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from spacy.tokens import Doc

from ..adapters.batches import PieceBatch, Reading, WindowBatches
from ..backbones.backbone import Backbone
from ..errors import Errors, PTuningError
from ..options import TOKEN_OVERLAP, TOKEN_WINDOW, Pieces
from ..types import SpanGetter
from .pieces import NO_PIECE, DocPieces, Ints1d, piece_docs, ramps, starts_of
from .windows import DocWindows, cut_windows

LONGEST_WINDOW = 512  # that is not asked for by its number
# What a batch costs beside its pieces, in pieces: the Python of all layers, in training forth and back. On a GPU pieces
# are cheap.
CPU_BATCH_COST, CPU_TRAINING_BATCH_COST, GPU_BATCH_COST = 64, 120, 4096


@dataclass(frozen=True)
class WindowLimits:
    """How long a window may be. window (int): Pieces, special ones included. overlap (int): Shared by neighbours."""

    window: int
    overlap: int


@dataclass(frozen=True)
class EncodedDocs:
    """All windows of a batch of Docs, and where the pieces of each token stand in them.

    flat_ids, flat_word_shapes (Ints1d): Of all windows, one behind the other, special pieces included.
    lengths (Ints1d): Pieces of each window. windows_per_doc (list[int])
    token_window, token_column (Ints1d): The window and the column of each piece of each token, tokens in order.
    pieces_per_token (Ints1d): How many of these rows each token has: none if it is a space. Shape: (n_tokens,)
    tokens_per_doc (list[int])
    """

    flat_ids: Ints1d
    flat_word_shapes: Ints1d
    lengths: Ints1d
    windows_per_doc: list[int]
    token_window: Ints1d
    token_column: Ints1d
    pieces_per_token: Ints1d
    tokens_per_doc: list[int]

    @cached_property
    def ids(self) -> list[Ints1d]:
        """The pieces of each window."""
        return np.split(self.flat_ids, np.cumsum(self.lengths)[:-1]) if len(self.lengths) else []


@dataclass(frozen=True)
class WantedStates:
    """The states that one encoder is to return, in this order. window, column (Ints1d): Shape of both: (n_wanted,)"""

    window: Ints1d
    column: Ints1d


def encode_docs(
    docs: Sequence[Doc],
    backbone: Backbone,
    limits: WindowLimits,
    *,
    with_word_shapes: bool,
    get_spans: SpanGetter | None = None,
) -> EncodedDocs:
    """Tokenise, cut into windows and align a batch of Docs.

    get_spans (SpanGetter | None): A span getter of spacy-transformers to cut within; None to cut whole documents.
    """
    prefix, suffix = backbone.special_pieces
    body = limits.window - len(prefix) - len(suffix)
    spans = None if get_spans is None else [[(s.start, s.end) for s in row] for row in get_spans(docs)]
    pieces = piece_docs(docs, backbone.tokenizer, with_word_shapes=with_word_shapes, special_ids=backbone.special_ids)
    windows = cut_windows(pieces, body=body, overlap=limits.overlap, token_spans=spans)
    flat_ids, flat_word_shapes = _with_special_pieces(pieces, windows, prefix, suffix)
    return EncodedDocs(
        flat_ids,
        flat_word_shapes,
        windows.ends - windows.starts + len(prefix) + len(suffix),
        windows.windows_per_doc.tolist(),
        *_locate(pieces, windows, len(prefix)),
        pieces.tokens_per_doc.tolist(),
    )


def batch_windows(
    encoded: EncodedDocs,
    wanted: Sequence[WantedStates],
    *,
    budget: int,
    pad_id: int,
    is_train: bool,
    per_batch: int,
) -> WindowBatches:
    """Pad the windows into batches and look up what each encoder reads of them.

    wanted (Sequence[WantedStates]): One for each encoder; it reads the windows that it wants a state of.
    budget (int): Most padded pieces in a batch; a single longer window makes a batch of its own. In prediction a window
    counts once for each of its readers; in training, which keeps what it computed of all batches anyway, just once: so
    every encoder gets the batches that it would get alone.
    per_batch (int): What one more batch costs, in padded pieces: the more, the fewer batches.
    """
    lengths = encoded.lengths
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
    batches = [_pad_batch(encoded, *pair, pad_id) for pair in zip(groups, readings_of, strict=True)]
    return WindowBatches(batches, [order for _, order in by_reader])


def _readings(
    groups: Sequence[list[int]], batch_of: Ints1d, lengths: Ints1d, is_read: NDArray[np.bool_], wanted: WantedStates
) -> tuple[list[Reading], torch.Tensor]:
    """Return what one encoder reads of each batch, and the order of its states."""
    first_piece = np.zeros(len(batch_of), dtype=np.int64)  # of each window, in its batch as this encoder reads it
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
    """Group indices by length, short ones first, so that all groups together take the least time.

    budget (int): The longest times the number of rows of a group stays within it; a longer one stands alone.
    n_readers (Sequence[int] | None): How many rows each makes, 0 to leave it out; None for one. per_batch (int): What
    one more group takes beside its padded pieces, in pieces.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    order = [index for index in order if n_readers is None or n_readers[index]]
    rows = np.cumsum([0, *(1 if n_readers is None else n_readers[index] for index in order)])
    # cost[n]: of the first n windows, shortest first; start[n]: where the last of their groups starts
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


def resolve_limits(
    window: Pieces | None, overlap: Pieces, *, most: int, n_special: int, shift: int, whole_spans: bool = False
) -> WindowLimits:
    """Return checked window limits.

    window, overlap: See `WindowOptions`. most (int): Positions that the backbone has. n_special (int): Special pieces
    in every window. shift (int): Positions that the prompt takes up, 0 unless they are shifted. whole_spans (bool):
    Whether a span getter cuts.
    RAISES (PTuningError): P203, P206, P212.
    """
    least = n_special + 2
    if shift and most - shift < least:
        raise PTuningError(Errors.P212.format(length=shift, left=max(0, most - shift), available=most, least=least))
    if window == "auto":
        length = min(most - shift, LONGEST_WINDOW if whole_spans else TOKEN_WINDOW)
    else:
        length = min(most - shift, LONGEST_WINDOW) if window is None else window
    shared = min(TOKEN_OVERLAP, length // 4) if overlap == "auto" else overlap
    if shift and length + shift > most:
        raise PTuningError(Errors.P203.format(needed=length + shift, available=most, limit=most - shift))
    body = length - n_special
    if not least <= length <= most or not 0 <= shared < body:
        message = Errors.P206.format(least=least, most=most, body=body, window=length, overlap=shared)
        raise PTuningError(message)
    return WindowLimits(length, shared)


def _with_special_pieces(
    pieces: DocPieces, windows: DocWindows, prefix: Sequence[int], suffix: Sequence[int]
) -> tuple[Ints1d, Ints1d]:
    """Return `EncodedDocs.flat_ids` and `.flat_word_shapes`."""
    bodies = windows.ends - windows.starts
    lengths = bodies + len(prefix) + len(suffix)
    starts = starts_of(lengths)
    ids, word_shape = (np.zeros(lengths.sum(), dtype=np.int64) for _ in range(2))
    for place, piece in enumerate(prefix):
        ids[starts + place] = piece
    for place, piece in enumerate(suffix):
        ids[starts + len(prefix) + bodies + place] = piece
    ramp = ramps(bodies)
    own, source = (np.repeat(first, bodies) + ramp for first in (starts + len(prefix), windows.starts))
    ids[own], word_shape[own] = pieces.ids[source], pieces.word_shape[source]
    return ids, word_shape


def _locate(pieces: DocPieces, windows: DocWindows, n_prefix: int) -> tuple[Ints1d, Ints1d, Ints1d]:
    """Return window and column of each token's pieces, and the number of pieces of each token."""
    counts = pieces.pieces_per_token
    wanted = np.repeat(pieces.first, counts) + ramps(counts)
    # What no window holds stands on the leading special piece of its Doc's first window.
    token_window = np.repeat(starts_of(windows.windows_per_doc), pieces.tokens_per_doc)
    window = np.repeat(token_window, counts)
    column = np.zeros(len(wanted), dtype=np.int64)
    stand_in = np.append(windows.source, NO_PIECE)[wanted]  # behind all pieces: for NO_PIECE itself
    found = np.flatnonzero(stand_in != NO_PIECE)
    owner = windows.owner[wanted[found]]
    window[found] = owner
    column[found] = n_prefix + stand_in[found] - windows.starts[owner]
    return window, column, counts


def _pad_batch(encoded: EncodedDocs, group: list[int], readings: Sequence[Reading], pad_id: int) -> PieceBatch:
    lengths = encoded.lengths[group]
    columns = np.arange(lengths[-1])
    is_piece = columns < lengths[:, None]
    places = np.where(is_piece, starts_of(encoded.lengths)[group][:, None] + columns, 0)
    ids = np.where(is_piece, encoded.flat_ids[places], pad_id)
    word_shape = np.where(is_piece, encoded.flat_word_shapes[places], 0)
    mask = is_piece.astype(np.int64)
    return PieceBatch(torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(word_shape), readings)
