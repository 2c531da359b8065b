"""Trainings that are killed and resumed, by the benchmark that does it a hundred times."""

import random

import pytest

from benchmarks.robustness import kills


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "n_kills"),
    [("both", 4), *(pytest.param(kind, 10, marks=pytest.mark.exhaustive) for kind in ("both", "entities"))],
)
def test_killed_at_random_it_ends_as_one_that_nobody_killed(kind, n_kills, tiny_folder, corpus, tmp_path):
    config = kills.config_for(kind, tiny_folder, corpus, tmp_path / kind)
    found = kills.kill_and_resume(config, tmp_path / kind, n_kills, random.Random(1))
    assert found.bad == []
    assert found.kills == n_kills and len(set(found.steps)) > 1
