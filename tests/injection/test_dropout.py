"""Dropout from seeds: how much it drops, what it draws, and what it leaves as it was."""

import pytest
import torch

from spacy_ptv2.injection.dropout import STEPS, drawing_from, drop_states

CPU = torch.device("cpu")
ONES = torch.ones(100, 50, 21)  # no multiple of the eight numbers that are drawn at a time


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_expectations_stay(rate, dtype):
    dropped = drop_states(ONES.to(dtype), rate, seed=3)
    assert dropped.dtype == dtype
    assert (dropped == 0).float().mean().item() == pytest.approx(rate, abs=1 / STEPS + 0.005)
    assert dropped.float().mean().item() == pytest.approx(1.0, abs=0.03)
    assert len(dropped.unique()) == 2


def test_everything_or_nothing():
    assert torch.equal(drop_states(ONES, 0.0, seed=3), ONES)
    assert not drop_states(ONES, 1.0, seed=3).any()


def test_a_seed_decides():
    first, again, other = (drop_states(ONES, 0.3, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_other_draws_go_on_as_if_nothing_was_drawn():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    drop_states(ONES, 0.3, seed=1)
    with drawing_from(5, CPU):
        inside = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with drawing_from(5, CPU):
        assert torch.equal(torch.rand(3), inside)
