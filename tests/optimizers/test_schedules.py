"""Factors on the learning rates, by hand."""

import itertools

import pytest
from thinc.api import warmup_linear

from spacy_ptv2.errors import PTuningError
from spacy_ptv2.optimizers.schedules import as_schedule, build_epoch_decay_v1, build_warmup_linear_v1


def factors_of(schedule, n_steps):
    return [schedule(step) for step in range(n_steps)]


def test_warmup_then_linear_to_zero():
    factors = factors_of(build_warmup_linear_v1(10, warmup=0.2), 12)
    assert factors == pytest.approx([0.5, 1, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 0, 0])


def test_without_warmup():
    assert factors_of(build_warmup_linear_v1(4, warmup=0.0), 5) == pytest.approx([1, 0.75, 0.5, 0.25, 0])


def test_warmup_only():
    assert factors_of(build_warmup_linear_v1(4, warmup=1.0), 5) == pytest.approx([0.25, 0.5, 0.75, 1, 0])


def test_decay_per_epoch():
    assert factors_of(build_epoch_decay_v1(2, decay=0.5), 6) == pytest.approx([1, 1, 0.5, 0.5, 0.25, 0.25])


@pytest.mark.parametrize(
    ("build", "settings", "name"),
    [
        (build_warmup_linear_v1, {"total_steps": 0}, "total_steps"),
        (build_warmup_linear_v1, {"total_steps": 5, "warmup": 1.5}, "warmup"),
        (build_warmup_linear_v1, {"total_steps": 5, "warmup": -0.1}, "warmup"),
        (build_epoch_decay_v1, {"steps_per_epoch": 0}, "steps_per_epoch"),
    ],
)
def test_impossible_settings_are_refused(build, settings, name):
    with pytest.raises(PTuningError, match=f"P407.*{name}"):
        build(**settings)


def test_a_schedule_is_a_function_of_the_step():
    """Its position is one number: where it was asked before makes no difference."""
    for build in (build_warmup_linear_v1, build_epoch_decay_v1):
        forwards, schedule = factors_of(build(9), 12), build(9)
        assert [schedule(step) for step in reversed(range(12))] == forwards[::-1]


def test_the_decay_is_what_repeated_multiplication_gives():
    """To the bit: a power may round otherwise."""
    expected = list(itertools.accumulate([1.0] + [0.95] * 99, lambda factor, decay: factor * decay))
    assert factors_of(build_epoch_decay_v1(1, decay=0.95), 100) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (lambda step: step / 10, [0.0, 0.1, 0.2, 0.3]),
        (0.5, [0.5, 0.5, 0.5, 0.5]),
        ([1.0, 0.5], [1.0, 0.5, 0.5, 0.5]),  # after the end its last number, as Thinc has it
        (warmup_linear(1.0, 1, 4), [0.0, 1.0, pytest.approx(2 / 3), pytest.approx(1 / 3)]),
    ],
)
def test_whatever_thinc_takes_is_a_schedule(given, expected):
    schedule = as_schedule(given)
    assert schedule(3) == expected[3]
    assert factors_of(schedule, 4) == expected


@pytest.mark.parametrize("given", [[], None, "fast", lambda: 1.0])
def test_what_is_no_schedule_is_refused(given):
    with pytest.raises(PTuningError, match="P417.*warmup_linear"):
        as_schedule(given)
