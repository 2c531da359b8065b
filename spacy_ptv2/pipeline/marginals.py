"""The probability of an entity, summed over all valid sequences of tags.

In: log probabilities of tags (-inf for impossible ones), and which tag may follow which. Out: a probability for each
entity. This is forward-backward in logs, over all documents in one chain with an "outside" row between them. The chain
is cut into stretches that are computed together, each from a guess of what comes before it. Those whose guess was wrong
are computed again, up to where nothing changes. So the result equals that of a pass from token to token, to the last
bit. Source: Rabiner 1989, section III, https://doi.org/10.1109/5.18626.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .tag_schemes import OUTSIDE, TagScheme

STRETCH = 32  # tokens; shorter stretches need fewer steps in Python, but more guesses

Floats1d = NDArray[np.float64]
Floats2d = NDArray[np.float64]
Ints1d = NDArray[np.int64]
Bools2d = NDArray[np.bool_]
Entity = tuple[int, int, str]


def entity_marginals(
    scheme: TagScheme,
    log_probabilities: NDArray[np.floating[Any]],
    entities: Sequence[Entity],
    lengths: Sequence[int] | None = None,
) -> Floats1d:
    """Return the probability of each entity among the valid sequences of its document.

    log_probabilities (NDArray): -inf for tags that are impossible at a token; rows need not sum to 1.
        Shape: (n_tokens, n_tags)
    entities (Sequence[tuple[int, int, str]]): (start, end, label) as `TagScheme.entities` returns them: tokens are
        counted over all documents, end exclusive.
    lengths (Sequence[int] | None): Tokens of each document; None for a single document.
    RETURNS (NDArray): From 0 to 1; 0 if no sequence is valid. Shape: (n_entities,)
    """
    if not entities:
        return np.zeros(0)
    bounds = np.cumsum([0, *([len(log_probabilities)] if lengths is None else lengths)])
    scores = _chain(log_probabilities, bounds, scheme.tag_ids[OUTSIDE])
    starts, ends = (np.array([entity[place] for entity in entities]) for place in (0, 1))
    starts, ends = (_in_chain(places, bounds, starts) for places in (starts, ends))
    rows, tags = entity_tags(scheme, entities, starts)
    forward, backward = Transitions(scheme.allowed), Transitions(scheme.allowed.T)
    before, growth = chain_states(scores, forward, scheme.tag_ids[OUTSIDE])
    after = chain_states(scores[::-1], backward, scheme.tag_ids[OUTSIDE])[0][::-1]
    sizes = ends - starts
    firsts = np.cumsum(sizes) - sizes
    with np.errstate(invalid="ignore"):  # -inf minus -inf, if no sequence is valid
        inside = np.add.reduceat(scores[rows, tags] - growth[rows], firsts)
        enters = forward.sums(before[starts - 1])[np.arange(len(starts)), tags[firsts]]
        leaves = np.logaddexp.reduce(np.where(_stops(scheme), after[ends], -np.inf), axis=1)
        everything = np.logaddexp.reduce(forward.sums(before[ends - 1]) + after[ends], axis=1)
        logs = enters + inside + leaves - everything
    return np.where(np.isfinite(logs), np.exp(np.minimum(logs, 0.0)), 0.0)


def entity_tags(scheme: TagScheme, entities: Sequence[Entity], starts: Ints1d) -> tuple[Ints1d, Ints1d]:
    """Return the rows and the tags of all tokens of the entities, one entity after the other.

    starts (NDArray): The row of each entity's first token. Shape: (n_entities,)
    """
    tags: list[int | None] = []
    rows: list[int] = []
    for (start, end, label), row in zip(entities, starts.tolist(), strict=True):
        size = end - start
        biluo = [f"U-{label}"] if size == 1 else [f"B-{label}", *[f"I-{label}"] * (size - 2), f"L-{label}"]
        tags += scheme.encode(biluo)
        rows += range(row, row + size)
    return np.array(rows), np.array(tags, dtype=np.int64)


@dataclass(frozen=True)
class Transitions:
    """Sums over the tags that each tag may follow: those that all tags may follow once, then the others.

    allowed (NDArray): Whether the column's tag may follow the row's. Shape: (n_tags, n_tags)
    """

    allowed: Bools2d
    common: Ints1d = field(init=False)  # tags that any tag may follow
    members: Ints1d = field(init=False)  # the others, one set after the other
    offsets: Ints1d = field(init=False)  # where each set starts
    set_of: Ints1d = field(init=False)  # the set of each tag

    def __post_init__(self) -> None:
        common = np.logical_and.reduce(self.allowed, axis=1)
        sets, set_of = np.unique(self.allowed & ~common[:, None], axis=1, return_inverse=True)
        nothing = len(self.allowed)  # the column of -inf that `sums` appends
        members = [np.append(np.flatnonzero(column), nothing) for column in sets.T]
        values = {
            "common": np.append(np.flatnonzero(common), nothing),
            "members": np.concatenate(members),
            "offsets": np.cumsum([0, *map(len, members)])[:-1],
            "set_of": set_of.reshape(-1),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def sums(self, states: Floats2d) -> Floats2d:
        """Return the log of the summed probability that leads to each tag. Shape of both: (n_rows, n_tags)"""
        states = np.concatenate([states, np.full((len(states), 1), -np.inf)], axis=1)
        own = np.logaddexp.reduceat(states[:, self.members], self.offsets, axis=1)
        common = np.logaddexp.reduce(states[:, self.common], axis=1, keepdims=True)
        sums: Floats2d = np.logaddexp(own, common)[:, self.set_of]
        return sums


def chain_states(scores: Floats2d, transitions: Transitions, outside: int) -> tuple[Floats2d, Floats1d]:
    """Return the log share of each tag at each row among all valid sequences that end there, and what the row added.

    scores (Floats2d): Shape: (n_rows, n_tags)
    outside (int): The tag before the first row.
    RETURNS (tuple): Shapes: (n_rows, n_tags) and (n_rows,); the latter is the log of the share that the row leaves.
    """
    n_rows, n_tags = scores.shape
    n_stretches = -(-n_rows // STRETCH)
    padded = np.zeros((n_stretches * STRETCH, n_tags))
    padded[:n_rows] = scores
    padded = padded.reshape(n_stretches, STRETCH, n_tags)
    states = np.full_like(padded, np.nan)
    growth = np.zeros((n_stretches, STRETCH))
    before = np.full((n_stretches, n_tags), -np.inf)
    before[0, outside] = 0.0
    before[1:] = padded[:-1, -1]  # a guess
    todo = np.arange(n_stretches)
    while len(todo):
        current = before[todo]
        for i in range(STRETCH):
            current, growth[todo, i] = _step(current, padded[todo, i], transitions)
            is_new = (current != states[todo, i]).any(axis=1)
            todo, current = todo[is_new], current[is_new]
            if not len(todo):
                break
            states[todo, i] = current
        following = todo[todo + 1 < n_stretches] + 1
        todo = following[(before[following] != states[following - 1, -1]).any(axis=1)]
        before[todo] = states[todo - 1, -1]
    return states.reshape(-1, n_tags)[:n_rows], growth.reshape(-1)[:n_rows]


def _step(before: Floats2d, scores: Floats2d, transitions: Transitions) -> tuple[Floats2d, Floats1d]:
    """Return the states one row further, and what that row added. A row that nothing leads to starts afresh."""
    states = transitions.sums(before) + scores
    added = np.logaddexp.reduce(states, axis=1)
    lost = np.isneginf(added)
    if lost.any():
        states[lost] = scores[lost]
    total = np.where(lost, np.logaddexp.reduce(states, axis=1), added)
    return states - np.where(np.isneginf(total), 0.0, total)[:, None], added


def _chain(log_probabilities: NDArray[np.floating[Any]], bounds: Ints1d, outside: int) -> Floats2d:
    """Return the rows of all documents, with an "outside" row between them, before the first and after the last.

    NaN counts as impossible.
    """
    between = bounds + np.arange(len(bounds))
    scores = np.full((len(log_probabilities) + len(bounds), log_probabilities.shape[1]), -np.inf)
    is_token = np.ones(len(scores), dtype=bool)
    is_token[between] = False
    scores[is_token] = np.fmax(log_probabilities, -np.inf)
    scores[between, outside] = 0.0
    return scores


def _in_chain(places: Ints1d, bounds: Ints1d, starts: Ints1d) -> Ints1d:
    """Return the entities' tokens as positions in the chain. starts: Each one's first token, to find its document."""
    shifted: Ints1d = places + np.searchsorted(bounds, starts, side="right")
    return shifted


def _stops(scheme: TagScheme) -> NDArray[np.bool_]:
    """Return the tags that do not continue an entity. Shape: (n_tags,)"""
    stops: NDArray[np.bool_] = scheme.begins.copy()
    stops[scheme.tag_ids[OUTSIDE]] = True
    return stops
