"""How far confidences can be believed.

In: the confidence of each prediction, and whether it is right. Out: the expected calibration error, bins of equally
many predictions for a reliability diagram, and how well confidences rank right before wrong.
Source: Guo et al. 2017, https://arxiv.org/abs/1706.04599; bins of equal size: Nguyen and O'Connor 2015,
https://arxiv.org/abs/1508.05154.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

N_BINS = 15
Floats1d = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """How far some confidences can be believed.

    n (int): How many there are. mean (float), right (float): The mean confidence, and the share that is right.
    error (float): The expected calibration error. auc (float | None): See `ranking`; None if all are right, or none is.
    bins (list[tuple[float, float, int]]): Mean confidence, share of right ones and size of each, the least sure first.
    """

    n: int
    mean: float
    right: float
    error: float
    auc: float | None
    bins: list[tuple[float, float, int]]


def calibrate(judged: Iterable[tuple[float, bool]]) -> Calibration | None:
    """Measure confidences. judged: Each with whether it is right. RETURNS: None if there are none."""
    confidences, right = np.array(list(judged), dtype=float).reshape(-1, 2).T
    if not len(confidences):
        return None
    auc = ranking(confidences, right)
    return Calibration(
        n=len(confidences),
        mean=float(confidences.mean()),
        right=float(right.mean()),
        error=calibration_error(confidences, right, N_BINS),
        auc=None if np.isnan(auc) else auc,
        bins=[
            (float(confidences[part].mean()), float(right[part].mean()), len(part))
            for part in bins_of(confidences, N_BINS)
            if len(part)
        ],
    )


def bins_of(confidences: Floats1d, bins: int) -> list[NDArray[np.int64]]:
    """Return which predictions are in each of some bins of equally many, the least sure first."""
    return np.array_split(np.argsort(confidences, kind="stable"), bins)


def calibration_error(confidences: Floats1d, right: Floats1d, bins: int) -> float:
    """Return the expected calibration error over bins of equally many predictions, the least sure first."""
    shares = [abs(confidences[part].sum() - right[part].sum()) for part in bins_of(confidences, bins)]
    return float(sum(shares) / len(confidences))


def ranking(confidences: Floats1d, right: Floats1d) -> float:
    """Return the share of pairs of a right and a wrong prediction in which the right one is surer; a tie counts half.

    This is the area under the ROC curve. NaN where there is no such pair.
    """
    wrong = np.sort(confidences[right == 0])
    sure = confidences[right == 1]
    if not len(wrong) or not len(sure):
        return float("nan")
    below, not_above = (np.searchsorted(wrong, sure, side=side) for side in ("left", "right"))
    return float((below + not_above).mean() / 2 / len(wrong))
