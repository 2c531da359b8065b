"""Factors on the learning rates, by hand."""

from itertools import islice

import pytest

from spacy_ptv2.errors import PTuningError
from spacy_ptv2.optimizers.schedules import build_epoch_decay_v1, build_warmup_linear_v1


def test_warmup_then_linear_to_zero():
    factors = list(islice(build_warmup_linear_v1(10, warmup=0.2), 12))
    assert factors == pytest.approx([0.5, 1, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 0, 0])


def test_without_warmup():
    assert list(islice(build_warmup_linear_v1(4, warmup=0.0), 5)) == pytest.approx([1, 0.75, 0.5, 0.25, 0])


def test_warmup_only():
    assert list(islice(build_warmup_linear_v1(4, warmup=1.0), 5)) == pytest.approx([0.25, 0.5, 0.75, 1, 0])


def test_decay_per_epoch():
    assert list(islice(build_epoch_decay_v1(2, decay=0.5), 6)) == pytest.approx([1, 1, 0.5, 0.5, 0.25, 0.25])


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
