"""Muon: what it does to matrices, which tensors it takes, and that a prompt trains with it."""

import numpy as np
import pytest
import torch

from spacy_ptv2.errors import PTuningError
from spacy_ptv2.optimizers.adamw import build_adamw_v1
from spacy_ptv2.optimizers.muon import ADAM_RMS, build_muon_v1, orthogonal_blocks, orthogonalized
from spacy_ptv2.optimizers.schedules import build_warmup_linear_v1
from spacy_ptv2.optimizers.tensors import Blocks
from spacy_ptv2.serialization.models import adapter_shims

from ..tiny import build_pipeline

RATES = {"prompt": 0.03, "lora": 0.002, "scalar_mix": 0.01, "word_shape": 0.005, "head": 0.002}
KEY = (0, "prompt.values")


def schedule():
    return build_warmup_linear_v1(1000, 0.0)


@pytest.mark.parametrize("shape", [(3, 8, 32), (3, 32, 8), (2, 5, 5)])
def test_singular_values_become_about_one(shape):
    matrices = np.random.default_rng(0).normal(size=shape).astype("float32") * 1e-3
    left, _, right = np.linalg.svd(matrices, full_matrices=False)
    result = orthogonalized(matrices)
    values = np.linalg.svd(result, compute_uv=False)
    assert values.min() > 0.5 and values.max() < 1.3
    np.testing.assert_allclose(
        left.swapaxes(1, 2) @ result @ right.swapaxes(1, 2) * ~np.eye(min(shape[1:]), dtype=bool), 0, atol=1e-4
    )
    assert not orthogonalized(np.zeros(shape, "float32")).any()


def test_each_head_of_keys_and_of_values_is_a_matrix():
    lengths, n_heads = (3, 3, 0, 0, 7, 7), 2
    momentum = np.random.default_rng(1).normal(size=(sum(lengths), 10)).astype("float32")
    result = orthogonal_blocks(momentum, Blocks(lengths, n_heads))
    start = 0
    for length in lengths:
        for columns in (slice(0, 5), slice(5, 10)):
            own = momentum[start : start + length, columns]
            expected = orthogonalized(own[None])[0] * ADAM_RMS * max(length, 5) ** 0.5 if length else own
            np.testing.assert_allclose(result[start : start + length, columns], expected, atol=1e-5)
        start += length
    assert orthogonal_blocks(momentum[:0], Blocks((0, 0), n_heads)).shape == (0, 10)


def test_steps_are_as_large_as_those_of_adamw():
    rng = np.random.default_rng(2)
    ours, weights = build_muon_v1(RATES, schedule()), rng.normal(size=(128, 64)).astype("float32")
    ours.describe({KEY: Blocks((64, 64), 2)})
    before = weights.copy()
    ours(KEY, weights, rng.normal(size=weights.shape).astype("float32") * 100)
    ours.step_schedules()
    assert np.sqrt(np.mean((weights - before) ** 2)) == pytest.approx(ADAM_RMS * RATES["prompt"], rel=0.2)


def test_momentum_and_decay():
    rng = np.random.default_rng(3)
    ours = build_muon_v1(RATES, schedule(), weight_decays={"prompt": 0.5}, momentum=0.9, grad_clip=0.0)
    weights = rng.normal(size=(8, 4)).astype("float32")
    ours.describe({KEY: Blocks((8,), 1)})
    expected, momentum, factor_of = weights.copy(), np.zeros_like(weights), schedule()
    for step in range(3):
        gradient = rng.normal(size=weights.shape).astype("float32")
        momentum = 0.9 * momentum + gradient
        rate = RATES["prompt"] * factor_of(step)
        expected *= 1 - rate * 0.5
        expected -= rate * orthogonal_blocks(gradient + 0.9 * momentum, Blocks((8,), 1))
        ours(KEY, weights, gradient.copy())
        ours.step_schedules()
        np.testing.assert_allclose(weights, expected, atol=1e-6)


def test_all_else_is_stepped_by_adamw():
    rng = np.random.default_rng(4)
    muon, adamw = build_muon_v1(RATES, schedule()), build_adamw_v1(RATES, schedule())
    own, other = (np.ones((3, 4), "float32") for _ in range(2))
    for _ in range(3):
        gradient = rng.normal(size=own.shape).astype("float32")
        for optimizer, weights in ((muon, own), (adamw, other)):
            optimizer((0, "W"), weights, gradient.copy())
            optimizer.step_schedules()
    np.testing.assert_array_equal(own, other)


@pytest.mark.parametrize("lengths", [4, [4, 0, 6]])
def test_a_prompt_is_described_by_its_shim(tiny_folder, corpus, lengths):
    nlp = build_pipeline(tiny_folder, corpus, prompt={"length": lengths, "dropout": 0.0})
    (shim,) = adapter_shims(nlp.get_pipe("ptuning_transformer").model)
    values = shim.encoder.prompt.values
    before = values.detach().clone()
    optimizer = build_muon_v1(RATES, schedule())
    values.grad = values.detach().clone()
    shim.finish_update(optimizer)
    optimizer.step_schedules()
    blocks = Blocks(shim.encoder.prompt.row_counts["values"], shim.backbone.n_key_heads)
    step = orthogonal_blocks(before.numpy(), blocks)
    np.testing.assert_allclose(values.detach().numpy(), before.numpy() - RATES["prompt"] * step, atol=1e-5)


def test_lora_is_described_by_its_shim(tiny_folder, corpus):
    """Adam's first step is as long as the rate: that of B is a multiple of that of A."""
    nlp = build_pipeline(tiny_folder, corpus, lora_rank=2)
    (shim,) = adapter_shims(nlp.get_pipe("ptuning_transformer").model)
    weights = shim.encoder.lora.weights
    before = weights.detach().clone()
    optimizer = build_muon_v1(RATES, schedule(), loraplus_ratio=3.0)
    weights.grad = torch.ones_like(weights)
    shim.finish_update(optimizer)
    optimizer.step_schedules()
    moved = (before - weights.detach()).split([width for pair in shim.backbone.linear_widths[0] for width in pair], -1)
    assert len(moved) == 2 * len(shim.backbone.linear_widths[0])
    for a, b in zip(moved[::2], moved[1::2], strict=True):
        assert torch.allclose(a, torch.full_like(a, RATES["lora"]), rtol=1e-3)
        assert torch.allclose(b, torch.full_like(b, 3 * RATES["lora"]), rtol=1e-3)


def test_the_reparameterised_prompt_is_left_to_adamw(tiny_folder, corpus):
    prompt = {"length": 4, "mlp_width": 8}
    nlp = build_pipeline(tiny_folder, corpus, prompt=prompt)
    (shim,) = adapter_shims(nlp.get_pipe("ptuning_transformer").model)
    assert shim.encoder.prompt.row_counts == {}


@pytest.mark.parametrize("momentum", [-0.1, 1.0])
def test_impossible_settings_are_refused(momentum):
    with pytest.raises(PTuningError, match="P407.*momentum.*below 1"):
        build_muon_v1(RATES, schedule(), momentum=momentum)
    with pytest.raises(PTuningError, match="P405"):
        build_muon_v1({"prompt": 0.1}, schedule())
