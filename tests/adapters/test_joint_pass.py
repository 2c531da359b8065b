"""Several prompts over one backbone in one pass, in every family."""

from functools import partial

import pytest
import torch

from spacy_ptv2.adapters import joint_pass
from spacy_ptv2.adapters.batches import PieceBatch, Reading
from spacy_ptv2.adapters.joint_pass import read_batches
from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.options import PromptOptions

from ..injection.oracles import ORACLES
from ..tiny import build_adapted, save_tiny_backbone

EVAL = {
    "lora_rank": 3,
    "word_shape": True,
    "backbone_dropout": False,
    "mixed_precision": False,
    "word_shape_place": "prompt",
}

TRAINING = {"lora_rank": 3, "mixed_precision": False, "word_shape_place": "prompt"}


@pytest.fixture(scope="module", params=sorted(ORACLES))
def family(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("joint") / request.param
    return get_backbone(BackboneSource(str(save_tiny_backbone(folder, request.param, deviation=0.15))))


def build(backbone, options=EVAL, **prompt):
    encoder = build_adapted(backbone, PromptOptions(dropout=0.0, **prompt), **options)
    if encoder.word_shape is not None:
        torch.nn.init.normal_(encoder.word_shape.weight)
    if encoder.lora is not None:
        torch.nn.init.normal_(encoder.lora.weights, std=0.1)
    if encoder.scalar_mix is not None:
        torch.nn.init.normal_(encoder.scalar_mix.weights)
    return encoder.eval()


def make_encoders(backbone, lowest):
    """Three that differ in layers, lengths and what they train beside the prompt, none below the layer `lowest`."""
    torch.manual_seed(3)
    plain = {**EVAL, "lora_rank": 0, "scalar_mix": False, "word_shape": False}
    return [
        build(backbone, length=3, layers=tuple(range(lowest, 3))),
        build(backbone, plain, length=5, layers=(2,)),
        build(backbone, {**EVAL, "lora_rank": 1}, length=(0, 2), layers=(lowest, 2)),
    ]


def make_batch(rows, n_columns=7):
    """Four windows of different lengths; the first two states of each row are wanted."""
    torch.manual_seed(1)
    mask = (torch.arange(n_columns) < torch.tensor([7, 3, 5, 6])[:, None]).long()
    ids = torch.randint(5, 40, mask.shape) * mask
    wanted = [(torch.arange(len(own)) * n_columns)[:, None] + torch.arange(2) for own in rows]
    readings = [
        Reading(torch.tensor(own, dtype=torch.long), each.flatten()) for own, each in zip(rows, wanted, strict=True)
    ]
    return PieceBatch(ids, mask, torch.randint(1, 9, mask.shape) * mask, readings)


def alone(encoder, batch, number):
    (states,) = read_batches([encoder], [PieceBatch(batch.ids, batch.mask, batch.word_shape, [batch.readings[number]])])
    return states


@pytest.mark.parametrize("rows", [[[0, 1, 2, 3]] * 3, [[3], [0, 1], [1, 2]], [[], [2, 3], [1]]])
@pytest.mark.parametrize("lowest", [0, 1, 2])
def test_together_equals_alone(family, lowest, rows):
    encoders, batch = make_encoders(family, lowest), make_batch(rows)
    with torch.no_grad():
        together = read_batches(encoders, [batch, batch])
        for number, encoder in enumerate(encoders):
            expected = alone(encoder, batch, number) if rows[number] else torch.zeros(0, family.hidden_width)
            torch.testing.assert_close(together[number], torch.cat([expected, expected]), atol=1e-5, rtol=1e-5)


def test_an_encoder_that_reads_nothing_of_a_batch_is_left_out_of_it(family, monkeypatch):
    encoders, calls = make_encoders(family, 1), []
    original = joint_pass._inputs_of
    monkeypatch.setattr(joint_pass, "_inputs_of", lambda encoder, *a: calls.append(encoder) or original(encoder, *a))
    with torch.no_grad():
        read_batches(encoders, [make_batch([[], [2, 3], [1]]), make_batch([[0], [1], []])])
    assert calls == [encoders[1], encoders[2], encoders[0], encoders[1]]


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("lowest", [0, 1])
def test_gradients_together_equal_alone(family, lowest, checkpointing):
    encoders, batch = make_encoders(family, lowest), make_batch([[0, 1, 2, 3], [1, 2], [0, 3]])
    gradients = []
    for switch in (False, checkpointing):
        for encoder in encoders:
            encoder.zero_grad()
            encoder.checkpointing = switch
        states = (
            [alone(encoder, batch, number) for number, encoder in enumerate(encoders)]
            if not gradients
            else read_batches(encoders, [batch])
        )
        torch.manual_seed(5)
        torch.autograd.backward(states, [torch.randn_like(own) for own in states])
        gradients.append([{n: p.grad.clone() for n, p in e.named_parameters() if p.grad is not None} for e in encoders])
    for expected, got in zip(*gradients, strict=True):
        assert expected.keys() == got.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(got[name], gradient, atol=1e-5 * gradient.abs().max().item(), rtol=0)


def rows_computed(family, encoders, batch):
    """Return how many rows the attention of each layer saw, call by call."""
    rows = {0: [], 1: [], 2: []}
    hooks = [
        block.register_forward_pre_hook(
            lambda _, args, kwargs, n=number: rows[n].append(len([*args, *kwargs.values()][0])), with_kwargs=True
        )
        for number, block in enumerate(family.attention_blocks)
    ]
    with torch.no_grad():
        read_batches(encoders, [batch])
    for hook in hooks:
        hook.remove()
    return list(rows.values())


def test_common_layers_run_once_per_window(family):
    """Rows that each layer computes, for two encoders with a prompt in the last layer and for two with all."""
    batch = make_batch([[0, 1, 2, 3], [0, 1, 2, 3]])
    for layers, expected in (((2,), [[4], [4], [8]]), ((0, 1, 2), [[8], [8], [8]])):
        encoders = [build(family, length=2, layers=layers) for _ in range(2)]
        assert rows_computed(family, encoders, batch) == expected


def test_a_training_step_keeps_nothing_of_the_common_layers(family):
    encoders = [build(family, TRAINING, length=2, layers=(2,)).train() for _ in range(2)]
    calls = []
    trees = {"shared": family.model, "training": family.in_training(attention_dropout=False)}
    hooks = []
    for name, tree in trees.items():
        note = partial(lambda name, *_: calls.append((name, torch.is_grad_enabled())), name)
        hooks.append(family.blocks_of(tree)[0].register_forward_hook(note))
    read_batches(encoders, [make_batch([[0, 1, 2, 3]] * 2)])
    for hook in hooks:
        hook.remove()
    assert calls == [("shared", False)]
    assert not family.model.training


def test_layers_below_the_prompts_drop_nothing(family):
    encoder = build(family, {**TRAINING, "attention_dropout": True}, length=2, layers=(2,)).train()
    layers = family.rule.layers(family.in_training(attention_dropout=True))
    entered = []
    hook = layers[2].register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0].detach()))
    batch = make_batch([[0, 1, 2, 3]])
    outputs = [alone(encoder, batch, 0) for _ in range(2)]
    hook.remove()
    torch.testing.assert_close(*entered, atol=0, rtol=0)
    drops = any(module.p > 0 for module in layers[2].modules() if isinstance(module, torch.nn.Dropout))
    assert torch.equal(*outputs) is not drops


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("lowest", [0, 1])
def test_each_drops_what_it_drops_alone(family, lowest, checkpointing):
    """In training, whatever else drops: states and gradients, by one number of torch's per encoder and pass."""
    options = {**TRAINING, "attention_dropout": True, "gradient_checkpointing": checkpointing}

    def make_training(number):
        torch.manual_seed(number)  # its start
        layers = tuple(range(max(lowest, number), 3))
        prompt = PromptOptions(dropout=0.3, length=3 + number, layers=layers)
        return build_adapted(family, prompt, **options).train()

    batch = make_batch([[0, 1, 2, 3], [1, 2], [0, 3]])
    results = []
    for together in (True, False):
        encoders = [make_training(number) for number in range(3)]
        torch.manual_seed(5)
        for _ in range(2):  # the second pass draws what the first did not
            if together:
                states = read_batches(encoders, [batch])
            else:
                states = [alone(encoder, batch, number) for number, encoder in enumerate(encoders)]
        sum(own.square().sum() for own in states).backward()
        gradients = [p.grad for encoder in encoders for p in encoder.parameters() if p.grad is not None]
        results.append([*states, *gradients])
    for joint, own in zip(*results, strict=True):
        torch.testing.assert_close(joint, own, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(*(alone(encoders[0], batch, 0) for _ in range(2)))


@pytest.mark.parametrize(("place", "expected"), [("prompt", [None, 1, 2]), ("pieces", [None, None, None])])
def test_word_shape_joins_where_it_is_told_to(family, place, expected):
    """At the pieces it leaves no layer in common, with the prompt all below it."""
    options = {"word_shape": True, "mixed_precision": False, "word_shape_place": place}
    encoders = [build(family, options, length=2, layers=layers) for layers in (None, (1, 2), (2,))]
    assert [encoder.word_shape_layer for encoder in encoders] == expected
    assert [encoder.first_layer for encoder in encoders] == [layer or 0 for layer in expected]
    batch = make_batch([[0, 1, 2, 3]])
    for encoder in encoders:
        with torch.no_grad():
            (before,) = read_batches([encoder], [batch])
            encoder.word_shape.weight += 1.0 + torch.randn_like(encoder.word_shape.weight)
            (after,) = read_batches([encoder], [batch])
        assert not torch.allclose(before, after, atol=1e-3)


def test_encoders_with_and_without_word_shapes_in_one_pass(family):
    """Word shapes at the pieces, at a layer, and none: each as alone."""
    torch.manual_seed(4)
    none = {"word_shape": False, "backbone_dropout": False, "mixed_precision": False}
    pieces = {"word_shape": True, "backbone_dropout": False, "mixed_precision": False}
    encoders = [build(family, options, length=2, layers=(2,)) for options in (EVAL, none, pieces)]
    batch = make_batch([[0, 1, 2, 3], [1, 2], [0, 3]])
    with torch.no_grad():
        for chosen in ([0, 1], [0, 1, 2]):
            own = PieceBatch(batch.ids, batch.mask, batch.word_shape, [batch.readings[number] for number in chosen])
            together = read_batches([encoders[number] for number in chosen], [own])
            for number, states in zip(chosen, together, strict=True):
                torch.testing.assert_close(states, alone(encoders[number], batch, number), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("rank", "first"), [(0, 2), (1, 1)])
def test_a_layer_with_an_adapter_alone_is_not_that_of_the_bare_backbone(tiny, rank, first):
    options = {**EVAL, "word_shape": False, "lora_rank": rank}
    assert build(tiny, options, length=(0, 2), layers=(1, 2)).first_layer == first
