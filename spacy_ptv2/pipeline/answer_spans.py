"""The best answer spans of a question: scores of starts and ends to spans, over all windows of the context at once.

In: start and end logits of the context's tokens; no answer is a further option with the logits 0 and 0, which the bias
of the head sets off from the tokens. Out: spans with their probabilities. Source: Devlin et al. 2019, sections 4.2 and
4.3, https://arxiv.org/abs/1810.04805; there the first piece stands for no answer, here a constant, so that it does not
matter in how many windows a context is read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints1d = NDArray[np.int64]


@dataclass(frozen=True)
class SpanScores:
    """The best spans of one question.

    starts, ends (list[int]): Rows, the best first, ends exclusive.
    scores (list[float]): The probability of start times that of end.
    no_answer (float): The probability that there is no answer, against that of the best span; 0 where there must be
        one.
    """

    starts: list[int]
    ends: list[int]
    scores: list[float]
    no_answer: float


def best_spans(
    logits: NDArray[np.float32], words: Ints1d, *, n_best: int, longest: int, may_be_none: bool
) -> SpanScores:
    """Find the best spans of a context.

    logits: Of starts and ends. Shape: (n_tokens, 2)
    words (Ints1d): The tokens that are no spaces: a span begins and ends with one. Shape: (n_words,)
    n_best (int): How many spans to return.
    longest (int): Most words of a span.
    may_be_none (bool): Whether there may be no answer.
    """
    if not len(words):
        return SpanScores([], [], [], 1.0)
    start, end = _log_probabilities(logits[words].astype(np.float64), may_be_none=may_be_none)
    n_words = len(words)
    scores = np.full((min(longest, n_words), n_words), -np.inf)
    for extra, row in enumerate(scores):
        row[: n_words - extra] = start[: n_words - extra] + end[extra:n_words]
    flat = scores.ravel()
    n_best = min(n_best, int(np.isfinite(flat).sum()))
    found = np.argpartition(-flat, n_best - 1)[:n_best]
    found = found[np.argsort(-flat[found], kind="stable")]
    length, first = np.unravel_index(found, scores.shape)
    no_answer = 0.0
    if may_be_none:
        ahead = flat[found[0]] - start[-1] - end[-1]
        no_answer = float(1.0 / (1.0 + np.exp(np.clip(ahead, -700.0, 700.0))))
    return SpanScores(
        words[first].tolist(), (words[first + length] + 1).tolist(), np.exp(flat[found]).tolist(), no_answer
    )


def _log_probabilities(logits: NDArray[np.float64], *, may_be_none: bool) -> NDArray[np.float64]:
    """Return log probabilities of starts and of ends, those of no answer last. Shape: (2, n_words + may_be_none)"""
    options = np.concatenate([logits, np.zeros((1, 2))]) if may_be_none else logits
    shifted = options - options.max(axis=0)
    log_probabilities: NDArray[np.float64] = (shifted - np.log(np.exp(shifted).sum(axis=0))).T
    return log_probabilities
