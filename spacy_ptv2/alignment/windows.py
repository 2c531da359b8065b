"""Windows over the pieces of a document, and which window each piece is read from.

Neighbouring windows overlap; a piece is read from the window in which it has the most context on its shorter side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .pieces import NO_PIECE, DocPieces, Ints1d

PieceRange = tuple[int, int]


@dataclass(frozen=True)
class DocWindows:
    """The windows of one document.

    ranges (list[PieceRange]): Pieces of each window, end exclusive.
    source (Ints1d): The piece that stands for each piece: itself, or the nearest one that lies in a window; `NO_PIECE`
    where no window holds any. owner (Ints1d): The window that `source` is read from. Shape of both: (n_pieces,)
    """

    ranges: list[PieceRange]
    source: Ints1d
    owner: Ints1d


def cut_windows(pieces: DocPieces, *, body: int, overlap: int, token_spans: list[PieceRange] | None) -> DocWindows:
    """Cut a document into windows of at most `body` pieces.

    body (int): Most pieces in a window, special ones not counted. overlap (int): Pieces that neighbours share.
    token_spans (list[PieceRange] | None): Stretches of tokens to cut within, from a span getter; None for the whole
    document. Stretches without a token are passed over.
    RETURNS (DocWindows): No window for a document without tokens, an empty one if it has tokens but none has a piece.
    """
    n_tokens, n_pieces = len(pieces.first), len(pieces.ids)
    stretches = [(0, n_pieces)]
    if token_spans is not None and n_pieces:
        stretches = [(int(pieces.first[a]), int(pieces.last[b - 1]) + 1) for a, b in token_spans if b > a] or [(0, 0)]
    ranges = [window for start, end in stretches for window in _cut(start, end, body, overlap)] if n_tokens else []
    return DocWindows(ranges, *_choose_owners(ranges, n_pieces))


def _cut(start: int, end: int, body: int, overlap: int) -> list[PieceRange]:
    """Cut one stretch; the last window is moved back so that it is full."""
    if end - start <= body:
        return [(start, end)]
    starts = [*range(start, end - body, body - overlap), end - body]
    return [(first, first + body) for first in starts]


def _choose_owners(ranges: list[PieceRange], n_pieces: int) -> tuple[Ints1d, Ints1d]:
    """Return `DocWindows.source` and `.owner`: the window with the most context, the first of equals."""
    best = np.full(n_pieces, -1, dtype=np.int64)
    owner = np.zeros(n_pieces, dtype=np.int64)
    for window, (start, end) in enumerate(ranges):
        left = np.arange(end - start)
        context = np.minimum(left, left[::-1])
        better = context > best[start:end]
        best[start:end][better] = context[better]
        owner[start:end][better] = window
    covered = best >= 0
    if not covered.any():
        return np.full(n_pieces, NO_PIECE, dtype=np.int64), owner
    source = np.maximum.accumulate(np.where(covered, np.arange(n_pieces), -1))
    source[source < 0] = int(np.argmax(covered))
    return source, owner[source]
