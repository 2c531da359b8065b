"""Frozen linear layers in oneDNN give what torch's own give, and leave alone what is none of their business."""

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from spacy_ptv2.backbones import model_loading
from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.injection.context import injected
from spacy_ptv2.injection.hooks import multiply_in_onednn
from spacy_ptv2.kernels import frozen_linear
from spacy_ptv2.kernels.processor import AMD, INTEL

from ..tiny import save_tiny_backbone

LAYERS = {
    "linear": lambda: nn.Linear(12, 7),
    "without bias": lambda: nn.Linear(12, 7, bias=False),
    "Conv1D": lambda: Conv1D(7, 12),
}


@pytest.fixture
def multiplied(monkeypatch):
    """The shapes of all inputs that went to oneDNN, while something is injected."""
    shapes = []
    multiply = frozen_linear._multiply
    monkeypatch.setattr(
        frozen_linear, "_multiply", lambda states, *rest: shapes.append(tuple(states.shape)) or multiply(states, *rest)
    )
    with injected():
        yield shapes


def both(make):
    """Return a frozen layer as it is, and with the same weights in oneDNN."""
    plain, changed = make().requires_grad_(False), make().requires_grad_(False)
    changed.load_state_dict(plain.state_dict())
    multiply_in_onednn(changed)
    return plain, changed


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("shape", [(5, 12), (3, 4, 12), (0, 4, 12), (1, 1, 12)])
def test_states_and_gradients_are_those_of_torch(kind, shape, multiplied):
    plain, changed = both(LAYERS[kind])
    states = torch.randn(shape, requires_grad=True)
    again = states.detach().clone().requires_grad_()
    wanted, given = plain(states), changed(again)
    torch.testing.assert_close(given, wanted, rtol=0, atol=1e-6)
    gradient = torch.randn_like(wanted)
    wanted.backward(gradient)
    given.backward(gradient)
    torch.testing.assert_close(again.grad, states.grad, rtol=0, atol=1e-6)
    assert multiplied == [shape, (*shape[:-1], 7)]


def test_states_and_gradients_of_any_layout(multiplied):
    plain, changed = both(LAYERS["linear"])
    states = torch.randn(12, 4, 3).transpose(0, 2).requires_grad_()
    torch.testing.assert_close(changed(states), plain(states), rtol=0, atol=1e-6)
    (given,) = torch.autograd.grad(changed(states).sum(), states)  # a gradient of one number, expanded
    (wanted,) = torch.autograd.grad(plain(states).sum(), states)
    torch.testing.assert_close(given, wanted, rtol=0, atol=1e-6)
    assert len(multiplied) == 3


def test_what_trains_is_left_alone(multiplied):
    _, changed = both(LAYERS["linear"])
    changed.requires_grad_()
    changed(torch.randn(2, 12)).sum().backward()
    assert changed.weight.grad is not None
    assert not multiplied


def test_autocast_and_other_types_are_left_alone(multiplied):
    plain, changed = both(LAYERS["linear"])
    states = torch.randn(2, 12)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert changed(states).dtype == plain(states).dtype == torch.bfloat16
    in_half = nn.Linear(12, 7, dtype=torch.bfloat16)
    multiply_in_onednn(in_half)
    assert "forward" not in in_half.__dict__
    assert not multiplied


def test_outside_of_an_injection_torch_goes_its_own_way(monkeypatch):
    monkeypatch.delattr(frozen_linear, "_multiply")
    plain, changed = both(LAYERS["linear"])
    states = torch.randn(2, 12)
    assert torch.equal(changed(states), plain(states))


def test_what_is_exported_is_left_alone():
    _, changed = both(LAYERS["linear"])
    with injected():
        graph = torch.export.export(nn.Sequential(changed), (torch.randn(2, 12),)).graph
    called = {str(node.target) for node in graph.nodes if node.op == "call_function"}
    assert called == {"aten.linear.default"}


@pytest.mark.parametrize(
    ("maker", "capability", "expected"), [(AMD, "AVX512", True), (AMD, "AVX2", False), (INTEL, "AVX512", False)]
)
def test_it_pays_by_maker_and_instructions_of_the_cpu(maker, capability, expected, monkeypatch):
    monkeypatch.setattr(frozen_linear, "is_made_by", lambda asked: asked == maker)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert frozen_linear.pays() is (expected and torch.backends.mkl.is_available())


@pytest.mark.parametrize("pays", [True, False])
def test_a_backbone_in_float32_takes_it_where_it_pays(pays, tmp_path, monkeypatch, multiplied):
    size = 70 + pays  # no other test's: a backbone of equal files that still lives would be shared
    folder = save_tiny_backbone(tmp_path / "bert", "bert", max_position_embeddings=size)
    monkeypatch.setattr(model_loading, "pays", lambda: pays)
    backbone = get_backbone(BackboneSource(str(folder), dtype="float32"))
    ids = torch.tensor([[1, 9, 8, 2]])
    for model in (backbone.model, backbone.in_training(attention_dropout=False)):
        multiplied.clear()
        model(input_ids=ids)
        n_linear = sum(len(backbone.rule.linear_layers(layer)) for layer in backbone.rule.layers(model))
        assert len([shape for shape in multiplied if shape[:2] == (1, 4)]) == (n_linear if pays else 0)
