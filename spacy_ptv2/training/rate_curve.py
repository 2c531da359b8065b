"""The loss over growing learning rates, and which rates it suggests.

In: a loss for each factor on the rates. Out: the smoothed curve, where it ends, and a suggestion: the factor at which
the loss falls most steeply, and the range in which it falls.
Source: Smith 2017, section 3.3, https://arxiv.org/abs/1506.01186, for the range; Gugger 2018,
https://sgugger.github.io/how-do-you-find-a-good-learning-rate.html, for smoothing, its bias correction and the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

SMOOTHING = 0.9  # share of the old mean that a new loss keeps: a mean of some ten steps, which lags by as many
DIVERGED = 4.0  # times the best smoothed loss
NEIGHBOURHOOD = 0.25  # decades to each side over which a slope is measured
FALL_BEGINS, FALL_ENDS = 0.1, 0.9  # shares of the whole fall


@dataclass(frozen=True)
class RatePoint:
    """A step of the test: the factor on all rates, the loss of its batch before the step, and the smoothed loss."""

    factor: float
    loss: float
    smoothed: float


@dataclass(frozen=True)
class RateSuggestion:
    """What a curve says about learning rates, all as factors on the configured ones.

    factor (float): Where the smoothed loss falls most steeply.
    lowest, highest (float): Where it has made a tenth, and nine tenths, of its fall.
    is_open (bool): Whether the test ended shortly after that, near its lowest loss, so that the fall may continue.
    """

    factor: float
    lowest: float
    highest: float
    is_open: bool


@dataclass
class RateCurve:
    """The points of a test so far. has_diverged (bool): Whether the last loss was far above the best or not finite."""

    points: list[RatePoint] = field(default_factory=list)
    has_diverged: bool = False
    _mean: float = 0.0

    def add(self, factor: float, loss: float) -> RatePoint | None:
        """Add the loss of a step.

        RETURNS (RatePoint | None): The point; None if the loss is not finite, which the curve does not keep.
        """
        if not math.isfinite(loss):
            self.has_diverged = True
            return None
        self._mean += (1 - SMOOTHING) * (loss - self._mean)
        point = RatePoint(factor, loss, self._mean / (1 - SMOOTHING ** (len(self.points) + 1)))
        self.points.append(point)
        best = min(point.smoothed for point in self.points)
        self.has_diverged = 0 < DIVERGED * best < point.smoothed
        return point


def suggest_rates(points: Sequence[RatePoint]) -> RateSuggestion | None:
    """Find the steepest descent of a curve, and where its fall begins and ends.

    The slope at a point is that of the least-squares line through its neighbours, over the logarithm of the factor.
    The fall is that from the mean loss of the first half decade to the lowest smoothed loss; later points are ignored.

    points (Sequence[RatePoint]): The curve, whose factors grow from each point to the next by the same multiple.
    RETURNS (RateSuggestion | None): None if the loss does not fall by more than it varies from step to step.
    """
    if len(points) < 2:
        return None
    decades = np.log10([point.factor for point in points])
    losses = np.array([point.loss for point in points])
    smoothed = np.array([point.smoothed for point in points])
    reach = max(1, round(NEIGHBOURHOOD / (decades[1] - decades[0])))
    last = int(smoothed.argmin())
    start = losses[: 2 * reach].mean()
    fall = start - smoothed[last]
    if last < 2 * reach or fall <= _noise(losses[: last + 1]):
        return None
    slopes = [_slope(decades, smoothed, index, reach) for index in range(last + 1)]
    begin, end = (int((smoothed[: last + 1] <= start - share * fall).argmax()) for share in (FALL_BEGINS, FALL_ENDS))
    return RateSuggestion(
        factor=points[int(np.argmin(slopes))].factor,
        lowest=points[begin].factor,
        highest=points[end].factor,
        is_open=end >= len(points) - 2 * reach and bool(smoothed[-1] - smoothed[last] < FALL_BEGINS * fall),
    )


def _slope(decades: np.ndarray, smoothed: np.ndarray, index: int, reach: int) -> float:
    """Return the slope of the curve at a point. Shape of decades and smoothed: (n_points,)"""
    near = slice(max(0, index - reach), index + reach + 1)
    x = decades[near] - decades[near].mean()
    return float((x * smoothed[near]).sum() / (x * x).sum())


def _noise(losses: np.ndarray) -> float:
    """Return the standard deviation of losses around a slow trend, from successive differences. Shape: (n_points,)"""
    return float(np.sqrt((np.diff(losses) ** 2).mean() / 2))
