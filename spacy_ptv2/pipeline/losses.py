"""Losses of heads, with their gradients, in numpy or cupy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from thinc.types import Floats2d


def log_softmax(xp: Any, logits: Any) -> Any:
    """Return log probabilities.

    xp: The module of the arrays, numpy or cupy.
    logits, RETURNS: Shape of both: (n_rows, n_outputs)
    """
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(axis=1, keepdims=True))


def cross_entropy(xp: Any, gold: Sequence[int | None], scores: list[Floats2d]) -> tuple[float, list[Floats2d]]:
    """Return the cross-entropy in nats, averaged over the rows that have a gold output, and its gradient.

    gold (Sequence[int | None]): The right output of each row of all arrays; None where it is unknown.
    scores (list[Floats2d]): Shape of each, and of its gradient: (n_rows, n_outputs)
    """
    rows = np.flatnonzero([output is not None for output in gold])
    columns = np.array([output for output in gold if output is not None], dtype=np.int64)
    log_probabilities = log_softmax(xp, xp.concatenate(scores))
    gradient = xp.zeros_like(log_probabilities)
    loss = 0.0
    if len(rows):
        gradient[rows] = xp.exp(log_probabilities[rows])
        gradient[rows, columns] -= 1.0
        gradient /= len(rows)
        loss = -float(log_probabilities[rows, columns].mean())
    return loss, xp.split(gradient, np.cumsum([len(s) for s in scores])[:-1])


@dataclass(frozen=True)
class Target:
    """What is right in a sequence whose rows are options.

    rows: The rows that are options. Shape: (n_options,)
    right (tuple[int, ...] | None): For each output the number of the right option; `len(rows)` for none of them; None
        if it is unknown.
    may_be_none (bool): Whether none of them is an option too.
    n_rows (int): All rows of the sequence.
    """

    rows: NDArray[np.int64]
    right: tuple[int, ...] | None
    may_be_none: bool
    n_rows: int


def choice_loss(xp: Any, gold: Sequence[Target], scores: list[Floats2d]) -> tuple[float, list[Floats2d]]:
    """Return the cross-entropy in nats of choosing rows, averaged over sequences and outputs, and its gradient.

    gold (Sequence[Target]): One for each sequence. No row at all, where that is an option, has the score 0.
    scores (list[Floats2d]): Shape of each, and of its gradient: (n_rows, n_outputs)
    """
    gradients = [xp.zeros_like(own) for own in scores]
    known = [number for number, target in enumerate(gold) if target.right is not None and len(target.rows)]
    loss = 0.0
    for number in known:
        target, own = gold[number], scores[number]
        rows = xp.asarray(target.rows)
        options = own[rows]
        if target.may_be_none:
            options = xp.concatenate([options, xp.zeros((1, own.shape[1]), dtype=own.dtype)])
        log_probabilities = log_softmax(xp, options.T)
        outputs, right = xp.arange(own.shape[1]), xp.asarray(target.right)
        loss -= float(log_probabilities[outputs, right].mean())
        gradient = xp.exp(log_probabilities)
        gradient[outputs, right] -= 1.0
        gradients[number][rows] = gradient.T[: len(rows)] / (own.shape[1] * len(known))
    return loss / max(1, len(known)), gradients
