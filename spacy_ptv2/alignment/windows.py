"""Windows over the pieces of documents, and which window each piece is read from.

Neighbouring windows overlap; a piece is read from the window in which it has the most context on its shorter side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .pieces import NO_PIECE, DocPieces, Ints1d, ramps, starts_of

PieceRange = tuple[int, int]


@dataclass(frozen=True)
class DocWindows:
    """The windows of some documents.

    starts, ends (Ints1d): Pieces of each window, end exclusive. Shape: (n_windows,)
    windows_per_doc (Ints1d): Shape: (n_docs,)
    source (Ints1d): The piece that stands for each piece: itself, or the nearest one of its document that lies in a
    window; `NO_PIECE` where no window holds any. owner (Ints1d): The window that `source` is read from. Shape of both:
    (n_pieces,)
    """

    starts: Ints1d
    ends: Ints1d
    windows_per_doc: Ints1d
    source: Ints1d
    owner: Ints1d


def cut_windows(
    pieces: DocPieces, *, body: int, overlap: int, token_spans: Sequence[Sequence[PieceRange]] | None
) -> DocWindows:
    """Cut documents into windows of at most `body` pieces.

    body (int): Most pieces in a window, special ones not counted. overlap (int): Pieces that neighbours share.
    token_spans (Sequence | None): For each document stretches of tokens to cut within, from a span getter; None for
    whole documents. Stretches without a token are passed over.
    RETURNS (DocWindows): No window for a document without tokens, an empty one if it has tokens but none has a piece.
    """
    first_piece = starts_of(pieces.pieces_per_doc)
    stretches = np.stack([first_piece, first_piece + pieces.pieces_per_doc], axis=1)
    by_doc = [[(start, end)] for start, end in stretches.tolist()]
    if token_spans is not None:
        first_token = starts_of(pieces.tokens_per_doc)
        for number in np.flatnonzero(pieces.pieces_per_doc).tolist():
            first, last = (ends[first_token[number] :] for ends in (pieces.first, pieces.last))
            wanted = [(int(first[a]), int(last[b - 1]) + 1) for a, b in token_spans[number] if b > a]
            by_doc[number] = wanted or [(int(first_piece[number]),) * 2]
    ranges = [
        [window for start, end in own for window in _cut(start, end, body, overlap)] if n_tokens else []
        for own, n_tokens in zip(by_doc, pieces.tokens_per_doc.tolist(), strict=True)
    ]
    windows_per_doc = np.fromiter(map(len, ranges), dtype=np.int64, count=len(ranges))
    starts, ends = np.array([window for own in ranges for window in own], dtype=np.int64).reshape(-1, 2).T
    return DocWindows(starts, ends, windows_per_doc, *_choose_owners(starts, ends, pieces.pieces_per_doc))


def _cut(start: int, end: int, body: int, overlap: int) -> list[PieceRange]:
    """Cut one stretch; the last window is moved back so that it is full."""
    if end - start <= body:
        return [(start, end)]
    starts = [*range(start, end - body, body - overlap), end - body]
    return [(first, first + body) for first in starts]


def _choose_owners(starts: Ints1d, ends: Ints1d, pieces_per_doc: Ints1d) -> tuple[Ints1d, Ints1d]:
    """Return `DocWindows.source` and `.owner`: the window with the most context, the first of equals."""
    n_windows, n_pieces = len(starts), int(pieces_per_doc.sum())
    lengths = ends - starts
    left = ramps(lengths)
    context = np.minimum(left, np.repeat(lengths, lengths) - 1 - left)
    window = np.repeat(np.arange(n_windows), lengths)
    # The larger number has more context, or as much and comes before.
    best = np.full(n_pieces, -1, dtype=np.int64)
    np.maximum.at(best, np.repeat(starts, lengths) + left, context * n_windows + n_windows - 1 - window)
    covered = best >= 0
    owner = n_windows - 1 - best % max(1, n_windows)
    source = np.arange(n_pieces)
    if not covered.all():
        source = _nearest_covered(covered, pieces_per_doc)
        owner = owner[source]
    return source, owner


def _nearest_covered(covered: np.ndarray[tuple[int], np.dtype[np.bool_]], pieces_per_doc: Ints1d) -> Ints1d:
    """Return the last covered piece up to each piece of its document, else the first one behind, else `NO_PIECE`."""
    places = np.arange(len(covered))
    doc_start = np.repeat(starts_of(pieces_per_doc), pieces_per_doc)
    doc_end = np.repeat(np.cumsum(pieces_per_doc), pieces_per_doc)
    before = np.maximum.accumulate(np.where(covered, places, NO_PIECE))
    behind = np.minimum.accumulate(np.where(covered, places, len(covered))[::-1])[::-1]
    nearest: Ints1d = np.where(before >= doc_start, before, np.where(behind < doc_end, behind, NO_PIECE))
    return nearest
