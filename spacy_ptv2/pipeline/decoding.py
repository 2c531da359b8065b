"""Decodes the most probable valid sequence of tags.

In: log probabilities and which tag may follow which. Out: tags. Only stretches around invalid places are searched, all
of them together. The best path through a stretch, whatever its neighbours are, is at least as good as that part of the
best valid sequence. So if it fits the tags next to it, each the best of its token, no valid sequence is better. A
stretch that does not fit is widened. Source: Viterbi 1967.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

MARGIN = 4  # tokens on each side of a fault in the first search
MAX_PATHS = 1 << 20  # paths from tag to tag that are compared in one step over several stretches: 8 MB

Floats2d = NDArray[np.float32]
Ints1d = NDArray[np.int64]
Bools2d = NDArray[np.bool_]
Stretch = tuple[int, int]


def decode_documents(log_probabilities: Floats2d, bounds: Ints1d, allowed: Bools2d, outside: int) -> Ints1d:
    """Return the most probable valid tags of some documents, one after the other. Shape: (n_tokens,)

    log_probabilities (Floats2d): Shape: (n_tokens, n_tags)
    bounds (Ints1d): Where documents start, and where the last one ends. Shape: (n_docs + 1,)
    allowed (Bools2d): Whether the column's tag may follow the row's. Shape: (n_tags, n_tags)
    outside (int): The tag that counts as preceding and following every document.
    """
    is_token = np.ones(len(log_probabilities) + len(bounds), dtype=bool)
    is_token[bounds + np.arange(len(bounds))] = False
    tags = np.full(len(is_token), outside, dtype=np.int64)
    tags[is_token] = log_probabilities.argmax(axis=1)
    faults = find_faults(tags, allowed)
    if len(faults):
        scores = np.full((len(is_token), len(allowed)), -np.inf)
        scores[is_token] = log_probabilities
        scores[~is_token, outside] = 0.0
        _repair(tags, scores, allowed, faults)
    decoded: Ints1d = tags[is_token]
    return decoded


def find_faults(tags: Ints1d, allowed: Bools2d) -> Ints1d:
    """Return the positions of tags that the next tag may not follow."""
    return np.flatnonzero(~allowed[tags[:-1], tags[1:]])


def _repair(tags: Ints1d, scores: NDArray[np.float64], allowed: Bools2d, faults: Ints1d) -> None:
    """Search around the faults until none is left. tags: Changed in place. scores: Shape: (len(tags), n_tags)"""
    searched: set[Stretch] = set()
    stretches = [(place - MARGIN + 1, place + 1 + MARGIN) for place in faults.tolist()]
    while len(faults):
        stretches = _merged((max(0, start), min(len(tags), end)) for start, end in stretches)
        by_size: dict[int, list[Stretch]] = defaultdict(list)
        for start, end in stretches:
            if (start, end) not in searched:
                by_size[(end - start).bit_length()].append((start, end))
        if not by_size:
            return  # the scores are NaN
        n_rows = max(1, MAX_PATHS // allowed.size)
        for together in by_size.values():
            for start in range(0, len(together), n_rows):
                _search(tags, scores, allowed, together[start : start + n_rows])
        searched.update(stretches)
        faults = find_faults(tags, allowed)
        places = set(faults.tolist())
        stretches = [_widened(pair) if places & {pair[0] - 1, pair[1] - 1} else pair for pair in stretches]


def _widened(stretch: Stretch) -> Stretch:
    """Return a stretch extended by its own length on each side."""
    start, end = stretch
    return start - (end - start), end + (end - start)


def _merged(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Join the stretches that overlap."""
    merged: list[Stretch] = []
    for start, end in sorted(stretches):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _search(tags: Ints1d, scores: NDArray[np.float64], allowed: Bools2d, stretches: Sequence[Stretch]) -> None:
    """Write the best path through each stretch into the tags."""
    starts, ends = np.array(stretches).T
    lengths = ends - starts
    columns = np.arange(lengths.max())
    is_inside = columns < lengths[:, None]
    places = np.where(is_inside, starts[:, None] + columns, 0)
    tags[places[is_inside]] = best_paths(scores[places], lengths, allowed)[is_inside]


def best_paths(scores: NDArray[np.float64], lengths: Ints1d, allowed: Bools2d) -> NDArray[np.int64]:
    """Return the best path through each of some padded rows of scores, with any tag at its start and end.

    scores (NDArray): Shape: (n_rows, longest, n_tags)
    lengths (Ints1d): Shape: (n_rows,)
    RETURNS (NDArray): Without meaning after a row's length. Shape: (n_rows, longest)
    """
    n_rows, longest, n_tags = scores.shape
    forbidden = np.where(allowed, 0.0, -np.inf)
    came_from = np.zeros((longest, n_rows, n_tags), dtype=np.int64)
    best = scores[:, 0]
    for i in range(1, longest):
        paths = best[:, :, None] + forbidden
        came_from[i] = paths.argmax(axis=1)
        best = np.where((i < lengths)[:, None], paths.max(axis=1) + scores[:, i], best)
    tags = np.zeros((n_rows, longest), dtype=np.int64)
    tag = best.argmax(axis=1)
    rows = np.arange(n_rows)
    for i in range(longest - 1, -1, -1):
        tags[:, i] = tag
        tag = np.where(i < lengths, came_from[i, rows, tag], tag)
    return tags
