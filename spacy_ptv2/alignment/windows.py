"""Windows over sequences: where they are cut, and which window owns a piece.

In: bodies on one line of pieces. Out: windows on that line. Neighbouring windows overlap, and a piece is read from the
window in which it has the most context on its shorter side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import Errors, PTuningError
from ..options import TOKEN_OVERLAP, TOKEN_WINDOW, Pieces
from .pieces import NO_PIECE, Ints1d, ramps, starts_of

LONGEST_WINDOW = 512  # unless the setting names a larger number
PieceRange = tuple[int, int]


@dataclass(frozen=True)
class WindowLimits:
    """The size of windows, in pieces. window (int): The most in one, special pieces included. overlap (int): Shared."""

    window: int
    overlap: int


@dataclass(frozen=True)
class Windows:
    """The windows of some bodies.

    starts, ends (Ints1d): The range of each window on the line, end exclusive. Shape: (n_windows,)
    per_body (Ints1d): Number of windows of each body. Shape: (n_bodies,)
    source (Ints1d): The piece that is read for each piece: itself, or the nearest one of its body that lies in a
        window; `NO_PIECE` where there is none. Shape: (n_pieces,)
    owner (Ints1d): The window that `source` is read from. Shape: (n_pieces,)
    """

    starts: Ints1d
    ends: Ints1d
    per_body: Ints1d
    source: Ints1d
    owner: Ints1d


def cut_windows(
    lengths: Ints1d, *, room: Ints1d, overlap: Ints1d, stretches: Sequence[Sequence[PieceRange]] | None = None
) -> Windows:
    """Cut bodies into windows.

    lengths (Ints1d): Number of pieces of each body. Shape: (n_bodies,)
    room (Ints1d): The most pieces of the body in a window, the frame not counted; 0 for a body that gets no window.
        Shape: (n_bodies,)
    overlap (Ints1d): Number of pieces of the body that neighbouring windows share. Shape: (n_bodies,)
    stretches (Sequence[Sequence[PieceRange]] | None): The ranges to cut within, for each body; None for whole bodies.
    RETURNS (Windows): With an empty window for a body without pieces.
    """
    starts_on_line = starts_of(lengths)
    if stretches is None:
        stretches = [[(start, end)] for start, end in zip(starts_on_line, starts_on_line + lengths, strict=True)]
    ranges = [
        [window for start, end in own for window in _cut(int(start), int(end), most, shared)] if most else []
        for own, most, shared in zip(stretches, room.tolist(), overlap.tolist(), strict=True)
    ]
    per_body = np.fromiter(map(len, ranges), dtype=np.int64, count=len(ranges))
    starts, ends = np.array([window for own in ranges for window in own], dtype=np.int64).reshape(-1, 2).T
    return Windows(starts, ends, per_body, *_choose_owners(starts, ends, lengths))


def resolve_limits(
    length: Pieces | None, overlap: Pieces, *, most: int, n_special: int, shift: int, whole_spans: bool = False
) -> WindowLimits:
    """Return checked window limits.

    length, overlap (Pieces): See `WindowOptions`.
    most (int): The number of positions that the backbone has.
    n_special (int): The number of special pieces in every window.
    shift (int): How many positions the prompt takes up, 0 unless positions are shifted.
    whole_spans (bool): Whether windows are cut within given stretches.
    RAISES (PTuningError): P203, P206, P212.
    """
    least = n_special + 2
    if shift and most - shift < least:
        raise PTuningError(Errors.P212.format(length=shift, left=max(0, most - shift), available=most, least=least))
    if length == "auto":
        window = min(most - shift, LONGEST_WINDOW if whole_spans else TOKEN_WINDOW)
    else:
        window = min(most - shift, LONGEST_WINDOW) if length is None else length
    shared = min(TOKEN_OVERLAP, window // 4) if overlap == "auto" else overlap
    if shift and window + shift > most:
        raise PTuningError(Errors.P203.format(needed=window + shift, available=most, limit=most - shift))
    body = window - n_special
    if not least <= window <= most or not 0 <= shared < body:
        message = Errors.P206.format(least=least, most=most, body=body, window=window, overlap=shared)
        raise PTuningError(message)
    return WindowLimits(window, shared)


def _cut(start: int, end: int, most: int, overlap: int) -> list[PieceRange]:
    """Cut one stretch. The last window is moved back so that it is full."""
    if end - start <= most:
        return [(start, end)]
    starts = [*range(start, end - most, most - overlap), end - most]
    return [(first, first + most) for first in starts]


def _choose_owners(starts: Ints1d, ends: Ints1d, body_lengths: Ints1d) -> tuple[Ints1d, Ints1d]:
    """Return `Windows.source` and `.owner`: the window with the most context, on a tie the first."""
    n_windows, n_pieces = len(starts), int(body_lengths.sum())
    lengths = ends - starts
    left = ramps(lengths)
    context = np.minimum(left, np.repeat(lengths, lengths) - 1 - left)
    window = np.repeat(np.arange(n_windows), lengths)
    # One number ranks windows: more context is larger; with equal context, the earlier window is larger.
    best = np.full(n_pieces, -1, dtype=np.int64)
    np.maximum.at(best, np.repeat(starts, lengths) + left, context * n_windows + n_windows - 1 - window)
    covered = best >= 0
    owner = n_windows - 1 - best % max(1, n_windows)
    source = np.arange(n_pieces)
    if not covered.all():
        source = _nearest_covered(covered, body_lengths)
        owner = owner[source]
    return source, owner


def _nearest_covered(covered: np.ndarray[tuple[int], np.dtype[np.bool_]], body_lengths: Ints1d) -> Ints1d:
    """Return, within the body, the last covered piece up to each piece, else the first after it, else `NO_PIECE`."""
    places = np.arange(len(covered))
    body_start = np.repeat(starts_of(body_lengths), body_lengths)
    body_end = np.repeat(np.cumsum(body_lengths), body_lengths)
    before = np.maximum.accumulate(np.where(covered, places, NO_PIECE))
    after = np.minimum.accumulate(np.where(covered, places, len(covered))[::-1])[::-1]
    nearest: Ints1d = np.where(before >= body_start, before, np.where(after < body_end, after, NO_PIECE))
    return nearest
