"""Confidence intervals of scores by the percentile bootstrap over Docs.

In: what was counted in each Doc. Out: the same counts for many corpora of as many Docs, drawn with replacement, and the
interval that 95 % of their scores lie in. Docs, not entities, are drawn: the entities of a Doc depend on each other.
Source: Efron 1979, https://doi.org/10.1214/aos/1176344552; percentile intervals: Efron and Tibshirani 1993, chapter 13.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SEED = 0
N_RESAMPLES = 1000
LEVEL = 95  # percent

Floats = NDArray[np.float64]
Interval = tuple[float, float]


def resample(counts: NDArray[np.int64]) -> Floats:
    """Return the sums of counts over resampled corpora.

    Docs with equal counts are drawn together, which changes nothing about the sums and makes large corpora cheap.

    counts (NDArray[np.int64]): Counts of each Doc. Shape: (n_docs, ...), at least one Doc
    RETURNS (NDArray[np.float64]): Shape: (N_RESAMPLES, ...)
    """
    rows, n_docs = np.unique(counts.reshape(len(counts), -1), axis=0, return_counts=True)
    draws = np.random.default_rng(SEED).multinomial(len(counts), n_docs / len(counts), size=N_RESAMPLES)
    sums: Floats = (draws.astype(float) @ rows.astype(float)).reshape(N_RESAMPLES, *counts.shape[1:])
    return sums


def interval(values: NDArray[Any]) -> Interval | None:
    """Return the bounds of the middle 95 % of resampled scores; None if no resample has a score.

    values (NDArray): NaN for a resample in which the score is not defined; these are left out.
    """
    if np.isnan(values).all():
        return None
    low, high = np.nanpercentile(values, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return float(low), float(high)
