"""Precision, recall and F1 by label, with confidence intervals, from counts of each Doc.

In: for each Doc and label how many predictions are right, in excess and missed. Out: a row per label, and one for all
labels together (micro average).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .bootstrap import Floats, Interval, interval, resample

RIGHT, EXCESS, MISSED = range(3)
Outcomes = Iterable[tuple[str, int]]  # of one Doc: a label, and RIGHT, EXCESS or MISSED, for each span or class
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Score:
    """A score from 0 to 1 and its interval; None where it is not defined."""

    value: float | None
    interval: Interval | None


@dataclass(frozen=True)
class LabelScores:
    """The scores of one label. support (int): How many gold ones there are. n_predicted (int): How many predicted."""

    label: str
    support: int
    n_predicted: int
    precision: Score
    recall: Score
    f1: Score


@dataclass(frozen=True)
class Scores:
    """Scores of some Docs.

    overall (LabelScores): Of all labels together. macro_f1 (Score): The mean F1 of the labels.
    labels (list[LabelScores]): The most frequent first.
    """

    n_docs: int
    overall: LabelScores
    macro_f1: Score
    labels: list[LabelScores]


def score_labels(docs: Sequence[Outcomes]) -> Scores:
    """Score what was found in some Docs, at least one."""
    counted = [Counter(outcomes) for outcomes in docs]
    labels = sorted({label for counter in counted for label, _ in counter})
    counts = np.zeros((len(docs), len(labels), 3), dtype=np.int64)
    number = {label: place for place, label in enumerate(labels)}
    for row, counter in zip(counts, counted, strict=True):
        for (label, outcome), n in counter.items():
            row[number[label], outcome] = n
    drawn, totals = resample(counts), counts.sum(axis=0)
    rows = [_scores_of(label, totals[i], drawn[:, i]) for i, label in enumerate(labels)]
    rows.sort(key=lambda row: (-row.support, row.label))
    overall = _scores_of("", totals.sum(axis=0), drawn.sum(axis=1))
    return Scores(len(docs), overall, _score(macro(totals[None]), macro(drawn)), rows)


def _scores_of(label: str, totals: Counts, drawn: Floats) -> LabelScores:
    measured, resampled = _measure(totals[None]), _measure(drawn)
    scores = [_score(value, values) for value, values in zip(measured, resampled, strict=True)]
    support, n_predicted = totals[RIGHT] + totals[MISSED], totals[RIGHT] + totals[EXCESS]
    return LabelScores(label, int(support), int(n_predicted), *scores)


def _score(value: Floats, resampled: Floats) -> Score:
    return Score(None if np.isnan(value[0]) else float(value[0]), interval(resampled))


def _measure(counts: NDArray[np.generic]) -> tuple[Floats, Floats, Floats]:
    """Return precision, recall and F1, NaN where nothing is counted. counts: Shape: (..., 3)"""
    right, excess, missed = np.moveaxis(counts.astype(float), -1, 0)
    return _ratio(right, right + excess), _ratio(right, right + missed), _ratio(2 * right, 2 * right + excess + missed)


def macro(counts: NDArray[np.generic]) -> Floats:
    """Return the mean F1 of the labels that are gold or predicted. counts: Shape: (n, n_labels, 3)"""
    f1 = _measure(counts)[2]
    defined = ~np.isnan(f1)
    return _ratio(np.where(defined, f1, 0.0).sum(axis=-1), defined.sum(axis=-1).astype(float))


def _ratio(part: Floats, whole: Floats) -> Floats:
    ratio: Floats = np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)
    return ratio
