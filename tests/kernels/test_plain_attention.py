"""Attention written out, in the two ways there are, against each other and against torch's fused one."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from spacy_ptv2.injection import attention
from spacy_ptv2.injection.attention import prepend
from spacy_ptv2.injection.context import RowGroup, injected
from spacy_ptv2.kernels.plain_attention import EVEN, attend_apart, pays_apart, plain_attention

from ..injection.oracles import load
from ..tiny import save_tiny_backbone

ROWS, HEADS, PIECES, WIDTH, LENGTH = 12, 3, 7, 5, 14
SCALE = WIDTH**-0.5


def make_states(dtype=torch.float32):
    """Queries, keys and values of the pieces, laid out as a projection leaves them, and a prompt."""
    torch.manual_seed(0)
    states = [torch.randn(ROWS, PIECES, HEADS, WIDTH).to(dtype).transpose(1, 2) for _ in range(3)]
    return [*states, torch.randn(2, LENGTH, HEADS * WIDTH)]


def make_bias(kind):
    """None, or what hides some pieces; from one row all of them."""
    if kind == "none":
        return None
    seen = torch.rand(ROWS, 1, 1, PIECES) > 0.3
    seen[1] = False
    if kind == "bool":
        return seen
    return torch.randn(1, HEADS, PIECES, PIECES).masked_fill(~seen, torch.finfo(torch.float32).min)


def joined(query, key, value, prompt, bias, *, function=plain_attention, by_heads=True):
    keys, values, mask = prepend(prompt, key, value, bias, by_heads=by_heads)
    return function(query, keys, values, mask, 0.0, scale=SCALE)


def apart(*call):
    return attend_apart(*call, 0.0, scale=SCALE)


def fused(*call):
    return joined(*call, function=scaled_dot_product_attention, by_heads=False)


@pytest.mark.parametrize("bias", ["none", "bool", "added"])
@pytest.mark.parametrize("way", [apart, fused])
def test_both_ways_equal_in_results_and_gradients(way, bias):
    mask = make_bias(bias)
    results = []
    for attend in (joined, way):
        states = [tensor.requires_grad_() for tensor in make_states()]
        mixed = attend(*states, mask)
        weights = torch.linspace(-1, 1, mixed.numel()).view(mixed.shape)
        results.append([mixed, *torch.autograd.grad((mixed * weights).sum(), states)])
    for expected, got in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("length", [LENGTH, EVEN - PIECES])
def test_in_bfloat16_as_near_to_exact_as_with_prompts_in_front(length):
    """Where scores are filled up to an even length, and where they need not be."""
    *states, prompt = make_states(torch.bfloat16)
    call = [*states, prompt[:, :length]]
    exact = joined(*(tensor.double() for tensor in call), None)
    distances = [(attend(*call, None) - exact).abs().max().item() for attend in (joined, apart)]
    assert max(distances) < 0.03
    assert apart(*call, None).dtype == torch.bfloat16


def test_weights_are_dropped_and_scaled():
    query, key, _, prompt = make_states()
    values = torch.ones_like(key)
    prompt[1] = 1.0
    kept = attend_apart(query, key, values, prompt, None, 0.5, scale=SCALE)
    assert kept.std() > 0.1
    assert abs(kept.mean().item() - 1.0) < 0.1
    assert torch.equal(attend_apart(query, key, values, prompt, None, 1.0, scale=SCALE), torch.zeros_like(values))


@pytest.mark.parametrize(
    ("rows", "pieces", "key_heads", "length", "expected"),
    [
        (12, 28, 4, 56, True),
        (11, 28, 4, 56, False),  # few rows
        (12, 29, 4, 96, False),  # long ones
        (12, 28, 4, 55, False),  # long beside the prompt
        (12, 28, 2, 56, False),  # fewer heads of keys
    ],
)
def test_pays_for_many_short_rows_in_bfloat16(rows, pieces, key_heads, length, expected):
    states = [torch.empty(rows, heads, pieces, 8) for heads in (4, key_heads)]
    prompt = torch.empty(2, length, 8 * key_heads)
    assert pays_apart(*(state.bfloat16() for state in states), prompt) is expected
    assert not pays_apart(*states, prompt)


@pytest.mark.parametrize(
    ("family", "kind", "rows", "expected"),
    [("bert", "sdpa", 12, 3), ("bert", "sdpa", 3, 0), ("bert", "eager", 12, 0), ("llama", "sdpa", 12, 0)],
)
def test_the_model_meets_the_prompt_apart_where_it_pays(tmp_path, monkeypatch, family, kind, rows, expected):
    """Not for few rows, where every score is to be written out as the model does, or with fewer heads of keys."""
    met = []
    monkeypatch.setattr(
        attention, "attend_apart", lambda *args, **kwargs: met.append(1) or attend_apart(*args, **kwargs)
    )
    backbone = load(save_tiny_backbone(tmp_path / family, family), kind, dtype="bfloat16")
    prompts = {layer: torch.randn(2, 18, backbone.key_width) for layer in range(3)}
    with torch.no_grad(), injected(RowGroup(prompts)):
        backbone.model(input_ids=torch.full((rows, 9), 7), attention_mask=torch.ones(rows, 9, dtype=torch.long))
    assert len(met) == expected
