"""From Docs to padded windows for the backbone, and back from its states to tokens.

In: Docs, a backbone, window settings. Out: `EncodedDocs` (windows with special pieces, the place of every token's
pieces in them) and `WindowBatches` (padded, sorted by length, each within a budget of padded pieces).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from spacy.tokens import Doc, Span

from ..backbones.backbone import Backbone
from ..errors import Errors, PTuningError
from ..torch_modules.prompted_encoder import PieceBatch
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
class WindowBatches:
    """Padded batches of windows. order (Ints1d): `states[order]` brings the states back into the order asked for."""

    batches: list[PieceBatch]
    order: Ints1d


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


def batch_windows(encoded: EncodedDocs, window: Ints1d, column: Ints1d, *, budget: int, pad_id: int) -> WindowBatches:
    """Pad the windows into batches and look up the states that are wanted.

    window, column (Ints1d): Where the wanted states stand. Shape: (n_wanted,)
    budget (int): Most padded pieces in a batch; a single longer window makes a batch of its own.
    """
    groups = group_by_length([len(ids) for ids in encoded.ids], budget)
    batch_of = np.zeros(len(encoded.ids), dtype=np.int64)
    offset_of = np.zeros(len(encoded.ids), dtype=np.int64)
    for number, group in enumerate(groups):
        batch_of[group] = number
        offset_of[group] = np.arange(len(group)) * len(encoded.ids[group[-1]])
    wanted_batch = batch_of[window]
    by_batch = np.argsort(wanted_batch, kind="stable")
    wanted = (offset_of[window] + column)[by_batch]
    bounds = np.searchsorted(wanted_batch[by_batch], np.arange(len(groups) + 1))
    order = np.empty_like(by_batch)
    order[by_batch] = np.arange(len(by_batch))
    batches = [_pad_batch(encoded, group, wanted[bounds[i] : bounds[i + 1]], pad_id) for i, group in enumerate(groups)]
    return WindowBatches(batches, order)


def group_by_length(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Group indices so that the longest times the number of a group stays within the budget; short ones first."""
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if groups and lengths[index] * (len(groups[-1]) + 1) <= budget:
            groups[-1].append(index)
        else:
            groups.append([index])
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


def _pad_batch(encoded: EncodedDocs, group: list[int], wanted: Ints1d, pad_id: int) -> PieceBatch:
    longest = len(encoded.ids[group[-1]])
    ids = np.full((len(group), longest), pad_id, dtype=np.int64)
    casing = np.zeros((len(group), longest), dtype=np.int64)
    mask = np.zeros((len(group), longest), dtype=np.int64)
    for row, window in enumerate(group):
        length = len(encoded.ids[window])
        ids[row, :length] = encoded.ids[window]
        casing[row, :length] = encoded.casing[window]
        mask[row, :length] = 1
    return PieceBatch(*(torch.from_numpy(array) for array in (ids, mask, casing, wanted)))
