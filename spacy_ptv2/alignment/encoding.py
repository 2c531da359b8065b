"""From Docs to padded windows for the backbone, and back from its states to tokens.

In: Docs, a backbone, window settings. Out: `EncodedDocs` (windows with special pieces, the place of every token's
pieces in them) and `WindowBatches` (padded, sorted by length, each within a budget of padded pieces).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from spacy.tokens import Doc, Span

from ..backbones.backbone import Backbone
from ..errors import Errors, PTuningError
from ..torch_modules.batches import PieceBatch, Reading, WindowBatches
from .pieces import NO_PIECE, DocPieces, Ints1d, piece_docs
from .windows import cut_windows

DEFAULT_WINDOW = 512

SpanGetter = Callable[[Sequence[Doc]], list[list[Span]]]


@dataclass(frozen=True)
class WindowLimits:
    """How long a window may be. window (int): Pieces, special ones included. overlap (int): Shared by neighbours."""

    window: int
    overlap: int


@dataclass(frozen=True)
class EncodedDocs:
    """All windows of a batch of Docs, and where the pieces of each token stand in them.

    ids, casing (list[Ints1d]): Per window, special pieces included. windows_per_doc (list[int])
    token_window, token_column (Ints1d): The window and the column of each piece of each token, tokens in order.
    pieces_per_token (Ints1d): How many of these rows each token has, at least 1. Shape: (n_tokens,)
    tokens_per_doc (list[int])
    """

    ids: list[Ints1d]
    casing: list[Ints1d]
    windows_per_doc: list[int]
    token_window: Ints1d
    token_column: Ints1d
    pieces_per_token: Ints1d
    tokens_per_doc: list[int]


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
    with_casing: bool,
    get_spans: SpanGetter | None = None,
) -> EncodedDocs:
    """Tokenise, cut into windows and align a batch of Docs.

    get_spans (SpanGetter | None): A span getter of spacy-transformers to cut within; None to cut whole documents.
    """
    prefix, suffix = backbone.special_pieces
    body = limits.window - len(prefix) - len(suffix)
    spans = [None] * len(docs) if get_spans is None else [[(s.start, s.end) for s in row] for row in get_spans(docs)]
    all_pieces = piece_docs(docs, backbone.tokenizer, with_casing=with_casing)
    ids: list[Ints1d] = []
    casing: list[Ints1d] = []
    places: list[tuple[Ints1d, Ints1d, Ints1d]] = []
    windows_per_doc: list[int] = []
    for pieces, token_spans in zip(all_pieces, spans, strict=True):
        windows = cut_windows(pieces, body=body, overlap=limits.overlap, token_spans=token_spans)
        starts = np.array([start for start, _ in windows.ranges], dtype=np.int64)
        places.append(_locate(pieces, windows.source, windows.owner, starts, len(ids), len(prefix)))
        for start, end in windows.ranges:
            ids.append(np.concatenate([prefix, pieces.ids[start:end], suffix]))
            casing.append(np.pad(pieces.casing[start:end], (len(prefix), len(suffix))))
        windows_per_doc.append(len(windows.ranges))
    token_window, token_column, pieces_per_token = (
        np.concatenate([np.zeros(0, np.int64), *(place[i] for place in places)]) for i in range(3)
    )
    tokens_per_doc = [len(doc) for doc in docs]
    return EncodedDocs(ids, casing, windows_per_doc, token_window, token_column, pieces_per_token, tokens_per_doc)


def batch_windows(
    encoded: EncodedDocs, wanted: Sequence[WantedStates], *, budget: int, pad_id: int, is_train: bool
) -> WindowBatches:
    """Pad the windows into batches and look up what each encoder reads of them.

    wanted (Sequence[WantedStates]): One for each encoder; it reads the windows that it wants a state of.
    budget (int): Most padded pieces in a batch; a single longer window makes a batch of its own. In prediction a window
    counts once for each of its readers; in training, which keeps what it computed of all batches anyway, just once: so
    every encoder gets the batches that it would get alone.
    """
    lengths = np.array([len(ids) for ids in encoded.ids], dtype=np.int64)
    is_read = np.zeros((len(wanted), len(lengths)), dtype=bool)
    for reader, states in enumerate(wanted):
        is_read[reader, states.window] = True
    n_readers = is_read.any(axis=0) if is_train else is_read.sum(axis=0)
    groups = group_by_length(lengths.tolist(), budget, n_readers.astype(int).tolist())
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


def group_by_length(lengths: Sequence[int], budget: int, n_readers: Sequence[int] | None = None) -> list[list[int]]:
    """Group indices so that the longest times the number of rows of a group stays within the budget; short ones first.

    n_readers (Sequence[int] | None): How many rows each makes, 0 to leave it out; None for one.
    """
    groups: list[list[int]] = []
    n_rows = 0
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        rows = 1 if n_readers is None else n_readers[index]
        if rows == 0:
            continue
        if groups and lengths[index] * (n_rows + rows) <= budget:
            groups[-1].append(index)
            n_rows += rows
        else:
            groups.append([index])
            n_rows = rows
    return groups


def resolve_limits(window: int | None, overlap: int, *, most: int, n_special: int, shift: int) -> WindowLimits:
    """Return checked window limits.

    most (int): Positions that the backbone has. n_special (int): Special pieces in every window. shift (int): Positions
    that the prompt takes up, 0 unless they are shifted.
    RAISES (PTuningError): P203, P206, P212.
    """
    least = n_special + 2
    if shift and most - shift < least:
        raise PTuningError(Errors.P212.format(length=shift, left=max(0, most - shift), available=most, least=least))
    length = min(most - shift, DEFAULT_WINDOW) if window is None else window
    if shift and length + shift > most:
        raise PTuningError(Errors.P203.format(needed=length + shift, available=most, limit=most - shift))
    body = length - n_special
    if not least <= length <= most or not 0 <= overlap < body:
        message = Errors.P206.format(least=least, most=most, body=body, window=length, overlap=overlap)
        raise PTuningError(message)
    return WindowLimits(length, overlap)


def _locate(
    pieces: DocPieces, source: Ints1d, owner: Ints1d, starts: Ints1d, first_window: int, n_prefix: int
) -> tuple[Ints1d, Ints1d, Ints1d]:
    """Return window and column of each token's pieces, and the number of pieces of each token."""
    counts = pieces.last - pieces.first + 1
    ramp = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    wanted = np.repeat(pieces.first, counts) + ramp
    window = np.full(len(wanted), first_window, dtype=np.int64)
    column = np.zeros(len(wanted), dtype=np.int64)
    if len(source):
        stand_in = source[wanted]
        found = stand_in != NO_PIECE
        local = owner[wanted[found]]
        window[found] = first_window + local
        column[found] = n_prefix + stand_in[found] - starts[local]
    return window, column, counts


def _pad_batch(encoded: EncodedDocs, group: list[int], readings: Sequence[Reading], pad_id: int) -> PieceBatch:
    longest = len(encoded.ids[group[-1]])
    ids = np.full((len(group), longest), pad_id, dtype=np.int64)
    casing = np.zeros((len(group), longest), dtype=np.int64)
    mask = np.zeros((len(group), longest), dtype=np.int64)
    for row, window in enumerate(group):
        length = len(encoded.ids[window])
        ids[row, :length] = encoded.ids[window]
        casing[row, :length] = encoded.casing[window]
        mask[row, :length] = 1
    return PieceBatch(torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(casing), readings)
