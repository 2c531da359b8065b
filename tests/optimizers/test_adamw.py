"""The optimizer against torch's AdamW with a norm per layer, through thinc's interface."""

import math
import warnings

import numpy as np
import pytest
import torch

from spacy_ptv2.errors import PTuningError
from spacy_ptv2.optimizers.adamw import build_adamw_v1
from spacy_ptv2.optimizers.averaging import AVERAGING
from spacy_ptv2.optimizers.muon import build_muon_v1
from spacy_ptv2.optimizers.schedules import build_warmup_linear_v1
from spacy_ptv2.optimizers.tensors import Blocks, LowRank
from spacy_ptv2.parameter_groups import ADAPTER_PARTS, PARTS, part_of

RATES = {"prompt": 0.03, "lora": 0.002, "scalar_mix": 0.01, "word_shape": 0.005, "head": 0.002}
ADAPTER, HEAD = 0, 1  # layers
KEYS = (*((ADAPTER, f"{part}.values") for part in ADAPTER_PARTS), (HEAD, "W"), (HEAD, "b"))


def make_weights(rng):
    return {key: rng.normal(size=(3, 4)).astype("float32") for key in KEYS}


@pytest.mark.parametrize("grad_clip", [0.0, 0.5, 1e9])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_equals_torch_adamw_with_clipping_by_layer(grad_clip, decay):
    rng = np.random.default_rng(0)
    weights = make_weights(rng)
    parameters = {key: torch.nn.Parameter(torch.tensor(array)) for key, array in weights.items()}
    groups = [
        {"params": [p], "lr": RATES[part_of(key[1])], "peak": RATES[part_of(key[1])]} for key, p in parameters.items()
    ]
    reference = torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8, weight_decay=decay)
    ours = build_adamw_v1(
        RATES, build_warmup_linear_v1(10, 0.3), weight_decays=dict.fromkeys(PARTS, decay), grad_clip=grad_clip
    )
    schedule = build_warmup_linear_v1(10, 0.3)
    for step in range(8):
        factor = schedule(step)
        gradients = make_weights(rng)
        for group in reference.param_groups:
            group["lr"] = group["peak"] * factor
        for key, parameter in parameters.items():
            parameter.grad = torch.tensor(gradients[key])
        if grad_clip:
            for layer in (ADAPTER, HEAD):
                own = [parameter for key, parameter in parameters.items() if key[0] == layer]
                torch.nn.utils.clip_grad_norm_(own, grad_clip)
        reference.step()
        for key, array in weights.items():
            ours(key, array, gradients[key])
            assert not gradients[key].any()  # taken over, ready for the next batch
        ours.step_schedules()
        for key, array in weights.items():
            np.testing.assert_allclose(array, parameters[key].detach().numpy(), atol=2e-6)


@pytest.mark.parametrize("build", [build_adamw_v1, build_muon_v1])
def test_averages_are_of_the_last_steps(build):
    """Polynomial decay: the weights of step t count t (t + 1) ... (t + AVERAGING - 1)."""
    rng = np.random.default_rng(0)
    weights, optimizer = make_weights(rng), build(RATES, build_warmup_linear_v1(20, 0.1))
    seen = {key: [] for key in weights}
    for _ in range(15):
        gradients = make_weights(rng)
        for key, array in weights.items():
            optimizer(key, array, gradients[key])
        optimizer.step_schedules()
        for key, array in weights.items():
            seen[key].append(array.copy())
    counts = [math.comb(t + AVERAGING - 1, AVERAGING) for t in range(1, 16)]
    assert set(optimizer.averages) == set(weights)
    for key, average in optimizer.averages.items():
        np.testing.assert_allclose(average, np.average(seen[key], axis=0, weights=counts), atol=1e-6)
        assert not np.allclose(average, weights[key], atol=1e-5)


@pytest.mark.parametrize("build", [build_adamw_v1, build_muon_v1])
def test_averages_can_be_switched_off(build):
    assert build(RATES, build_warmup_linear_v1(4, 0.0), use_averages=False).averages is None


@pytest.mark.parametrize("build", [build_adamw_v1, build_muon_v1])
@pytest.mark.parametrize("end", ["step_schedules", "step", "averages", "next"])
def test_a_step_is_whole_whoever_ends_it(build, end):
    """Weights, averages and rates are those of a loop that says when a step is over; before, they are on trial."""
    results = []
    for says_so in (True, False):
        rng, optimizer = np.random.default_rng(0), build(RATES, build_warmup_linear_v1(6, 0.5))
        weights = make_weights(rng)
        optimizer.describe({KEYS[0]: Blocks((3,), 2)})  # only Muon cares
        steps = []
        for step in range(5):
            for key, array in list(weights.items())[: 3 if step == 2 else None]:  # some get no gradient at times
                optimizer(key, array, 10.0 ** (step - 2) * rng.normal(size=(3, 4)).astype("float32"))
            if says_so or end == "step_schedules":
                optimizer.step_schedules()
            elif end == "step":
                optimizer.step()
            elif end == "averages":
                assert optimizer.averages
            steps.append([array.copy() for array in weights.values()])
        steps.append([array.copy() for array in optimizer.averages.values()])
        results.append(np.array(steps))
    np.testing.assert_array_equal(*results)


def test_a_loop_that_says_when_a_step_is_over_has_no_trials():
    optimizer, weights = build_adamw_v1(RATES, build_warmup_linear_v1(4, 0.0)), np.ones((2, 2), "float32")
    for expected_to_change in (True, False, False):
        before = weights.copy()
        optimizer((0, "W"), weights, np.full((2, 2), 0.5, "float32"))
        assert (weights < before).all() == expected_to_change
        optimizer.step_schedules()
        assert (weights < before).all()


def test_the_end_of_the_schedule_is_told_once():
    optimizer, weights = build_adamw_v1(RATES, build_warmup_linear_v1(3, 0.0)), np.ones(2, "float32")

    def step(n_steps):
        for _ in range(n_steps):
            optimizer((0, "W"), weights, np.ones(2, "float32"))
            optimizer.step()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(4)  # `spacy train` takes one more than max_steps
    with pytest.warns(UserWarning, match="PW11.*create_optimizer"):
        step(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(3)


def test_b_of_lora_has_a_rate_of_its_own():
    """Against torch's AdamW with A and B apart."""
    widths, ratio, decay, key = ((2, 3), (4, 1)), 5.0, 0.1, (0, "lora.weights")
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(2, 10)).astype("float32")
    parts = [torch.nn.Parameter(part) for part in torch.tensor(weights).split([2, 3, 4, 1], 1)]
    rates = [RATES["lora"] * factor for factor in (1.0, ratio, 1.0, ratio)]
    groups = [{"params": [part], "lr": rate} for part, rate in zip(parts, rates, strict=True)]
    reference = torch.optim.AdamW(groups, eps=1e-8, weight_decay=decay)
    ours = build_adamw_v1(RATES, iter([1.0] * 100), weight_decays={"lora": decay}, grad_clip=0.0, loraplus_ratio=ratio)
    ours.describe({key: LowRank(widths)})
    for _ in range(5):
        gradient = rng.normal(size=weights.shape).astype("float32")
        for part, share in zip(parts, torch.tensor(gradient).split([2, 3, 4, 1], 1), strict=True):
            part.grad = share.clone()
        reference.step()
        ours(key, weights, gradient)
        ours.step_schedules()
        np.testing.assert_allclose(weights, torch.cat(parts, 1).detach(), atol=1e-6)


@pytest.mark.parametrize("is_driven", [True, False])
@pytest.mark.parametrize("build", [build_adamw_v1, build_muon_v1])
def test_an_adapter_learns_the_same_whatever_else_trains(build, is_driven):
    """The gradients of another layer, however large, do not clip an adapter's."""
    reached = []
    for others in ((), (1e-3,), (1e3, 1.0)):
        rng, weights = np.random.default_rng(0), np.ones((3, 4), "float32")
        optimizer = build(RATES, build_warmup_linear_v1(6, 0.5))
        for _ in range(5):
            gradient = rng.normal(size=weights.shape).astype("float32")
            for layer, size in enumerate(others, start=1):
                optimizer((layer, "W"), np.ones(2, "float32"), np.full(2, size, "float32"))
            optimizer((ADAPTER, "lora.values"), weights, gradient)
            optimizer.step_schedules() if is_driven else optimizer.step()
        reached.append(weights)
    np.testing.assert_array_equal(reached[0], reached[1])
    np.testing.assert_array_equal(reached[0], reached[2])


def test_the_norm_of_a_step_is_over_all_tensors():
    optimizer = build_adamw_v1(RATES, build_warmup_linear_v1(4, 0.0))
    for i in range(2):
        optimizer((i, "W"), np.zeros(2, "float32"), np.array([3.0, 0.0], "float32") if i else np.array([0.0, 4.0], "f"))
    assert optimizer.step() == pytest.approx(5.0)


@pytest.mark.parametrize(
    "rates", [{"prompt": 0.1}, {**RATES, "prefix": 0.1}, {name: rate for name, rate in RATES.items() if name != "head"}]
)
def test_missing_or_unknown_parts_are_refused(rates):
    with pytest.raises(PTuningError, match="P405.*prompt, lora, scalar_mix, word_shape, head"):
        build_adamw_v1(rates, build_warmup_linear_v1(10))
    with pytest.raises(PTuningError, match="P405.*prefix"):
        build_adamw_v1(RATES, build_warmup_linear_v1(10), weight_decays={"prefix": 0.1})


@pytest.mark.parametrize("got", [".001", -0.001, float("nan"), float("inf"), None])
def test_what_is_no_rate_is_refused_with_its_place(got):
    for build in (build_adamw_v1, build_muon_v1):
        with pytest.raises(PTuningError, match=rf"P407.*learn_rates.lora to be a number.*{got!r}"):
            build({**RATES, "lora": got}, build_warmup_linear_v1(10))
    others = {"weight_decays": {"head": got}, "grad_clip": got, "restarts": got, "loraplus_ratio": got}
    for name, value in others.items():
        with pytest.raises(PTuningError, match=rf"P407.*{name}"):
            build_adamw_v1(RATES, build_warmup_linear_v1(10), **{name: value})


@pytest.mark.parametrize(
    ("part", "rate"), [("prompt", 5e-5), ("prompt", 3.0), ("head", 2e-5), ("word_shape", 1.0), ("lora", 0.03)]
)
def test_a_rate_that_never_worked_is_warned_of(part, rate):
    with pytest.warns(UserWarning, match=f"PW09.*{rate:g}.*{part}.*lr-find"):
        build_adamw_v1({**RATES, part: rate}, build_warmup_linear_v1(10))


@pytest.mark.parametrize(
    "rates",
    [RATES, {**RATES, "word_shape": 0.0}, {**dict.fromkeys(PARTS, 0.06), "lora": 0.01}, dict.fromkeys(PARTS, 1e-4)],
)
def test_rates_that_have_worked_are_taken_without_a_word(rates):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build_adamw_v1(rates, build_warmup_linear_v1(10))
