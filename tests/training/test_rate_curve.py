"""What is read from curves: smoothing, the end, and the suggestion, on curves whose answer is known."""

import math

import numpy as np
import pytest

from spacy_ptv2.training.rate_curve import RateCurve, suggest_rates
from spacy_ptv2.training.rate_finder import growing_factors

N_STEPS = 200
FACTORS = list(growing_factors(N_STEPS))


def fall_at(decade, width=0.15):
    """A loss that falls from 3 to 1, most steeply at 10 ** decade, nine tenths of it within five widths."""
    return [1 + 2 / (1 + math.exp((math.log10(factor) - decade) / width)) for factor in FACTORS]


def curve_of(losses, factors=FACTORS):
    curve = RateCurve()
    for factor, loss in zip(factors, losses, strict=False):
        curve.add(factor, loss)
        if curve.has_diverged:
            break
    return curve


def noise(deviation, seed=0):
    return np.random.default_rng(seed).normal(scale=deviation, size=N_STEPS)


def test_smoothed_loss_is_a_weighted_mean():
    """Of the losses so far, each with nine tenths of the weight of the next; the weights sum to one."""
    points = curve_of([4.0, 2.0, 1.0]).points
    assert [point.smoothed for point in points] == pytest.approx(
        [4.0, (0.9 * 4 + 2) / 1.9, (0.81 * 4 + 0.9 * 2 + 1) / 2.71]
    )
    assert [point.loss for point in points] == [4.0, 2.0, 1.0]
    assert [point.smoothed for point in curve_of([3.0] * 50).points] == pytest.approx([3.0] * 50)


def test_the_curve_ends_where_the_smoothed_loss_is_four_times_its_best():
    losses = [1.0] * 20 + [9.0] * 20
    curve = curve_of(losses)
    smoothed = [point.smoothed for point in curve.points]
    assert curve.has_diverged
    assert 21 < len(smoothed) < 40  # one loss above it is not enough
    assert smoothed[-2] <= 4.0 < smoothed[-1]
    assert not curve_of([0.0, 1.0, 2.0, 1.0]).has_diverged  # nothing is four times 0: a batch without an annotation


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_the_curve_ends_at_a_loss_that_is_no_number(loss):
    curve = curve_of([3.0, 2.0, loss, 1.0])
    assert curve.has_diverged
    assert [point.loss for point in curve.points] == [3.0, 2.0]


@pytest.mark.parametrize("decade", [-1.5, -1, 0, 0.5])
@pytest.mark.parametrize("deviation", [0.0, 0.1])
def test_steepest_descent(decade, deviation):
    suggestion = suggest_rates(curve_of(fall_at(decade) + noise(deviation)).points)
    behind = 9 * 5 / (N_STEPS - 1)  # decades by which a mean of ten steps is late
    assert math.log10(suggestion.factor) == pytest.approx(decade + behind / 2, abs=behind / 2 + 0.1)
    assert not suggestion.is_open


def test_the_range_is_the_fall():
    suggestion = suggest_rates(curve_of(fall_at(0)).points)
    behind = 9 * 5 / (N_STEPS - 1)
    tenth = 0.15 * math.log(9)  # where a logistic curve has a tenth of its fall behind it
    assert math.log10(suggestion.lowest) == pytest.approx(-tenth + behind / 2, abs=behind / 2 + 0.05)
    assert math.log10(suggestion.highest) == pytest.approx(tenth + behind, abs=behind / 2 + 0.05)
    assert suggestion.lowest < suggestion.factor < suggestion.highest


def test_the_unit_of_the_loss_does_not_matter():
    losses = fall_at(-0.5) + noise(0.1)
    assert suggest_rates(curve_of(losses).points) == suggest_rates(curve_of(losses * 1000).points)


def test_what_comes_after_the_lowest_loss_is_left_aside():
    """Such as a loss that rises and then falls, more steeply than it ever did."""
    losses = fall_at(-1, width=0.3)
    disturbed = [*losses[:140], *([3.0] * 20), *([1.2] * 40)]
    assert suggest_rates(curve_of(disturbed).points).factor == suggest_rates(curve_of(losses[:140]).points).factor


def test_no_suggestion_without_a_fall():
    rising = [4 - loss for loss in fall_at(0)]
    for losses in (rising, [2.0] * N_STEPS, [2.0], [], 2 + noise(0.5), 2 + noise(0.5, seed=1), 2 + noise(0.05)):
        assert suggest_rates(curve_of(losses).points) is None


def test_a_fall_that_may_go_on_is_open():
    assert suggest_rates(curve_of(fall_at(2)).points).is_open
    cut = [index for index, factor in enumerate(FACTORS) if factor < 1.0][-1]
    assert suggest_rates(curve_of(fall_at(0)[:cut]).points).is_open  # as when interrupted
    ended = curve_of([*fall_at(0)[:145], *([50.0] * 55)])
    assert ended.has_diverged and not suggest_rates(ended.points).is_open
