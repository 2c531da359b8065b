"""The trainable modules around a backbone."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from spacy_ptv2.adapters.batches import PieceBatch, Reading
from spacy_ptv2.adapters.joint_pass import read_batches
from spacy_ptv2.adapters.prompt import FlatPrompt, MLPPrompt
from spacy_ptv2.adapters.prompt_starts import word_key_values
from spacy_ptv2.adapters.scalar_mix import ScalarMix
from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.errors import PTuningError
from spacy_ptv2.injection.context import injected
from spacy_ptv2.options import NormalStart, PromptOptions, WordStart

from ..injection.oracles import ORACLES
from ..tiny import build_adapted, save_tiny_backbone

PLAIN = {"scalar_mix": False, "word_shape": False, "backbone_dropout": False, "mixed_precision": False}
FULL = {"scalar_mix": True, "word_shape": "auto", "backbone_dropout": False, "mixed_precision": False}


def build(backbone, prompt=None, options=PLAIN):
    torch.manual_seed(0)
    return build_adapted(backbone, prompt or PromptOptions(length=4), **options)


def batch(n_rows=2, n_columns=7):
    torch.manual_seed(1)
    shape = (n_rows, n_columns)
    return PieceBatch(
        torch.randint(5, 40, shape),
        torch.ones(shape, dtype=torch.long),
        torch.randint(1, 9, shape),
        [Reading(torch.arange(n_rows), torch.arange(6))],
    )


def read(encoder, *batches):
    (states,) = read_batches([encoder], batches)
    return states


def test_exactly_these_tensors_are_trainable(tiny):
    names = {name for name, _ in build(tiny, options=FULL).named_parameters()}
    assert names == {"prompt.values", "lora.weights", "scalar_mix.weights", "word_shape.weight"}
    assert set(build(tiny, options=FULL).state_dict()) == names
    mlp = build(tiny, PromptOptions(length=4, mlp_width=8))
    assert {name for name, _ in mlp.named_parameters()} == {
        "lora.weights",
        *(f"prompt.{name}" for name in ("embedding", "hidden.weight", "hidden.bias", "output.weight", "output.bias")),
    }


def test_an_adapter_reads_at_random_and_gives_nothing_at_its_start(tiny):
    lora = build(tiny, options={**PLAIN, "lora_rank": 40}).lora
    assert lora.weights.shape == (3, 40, tiny.lora_width)
    sizes = [size for pair in tiny.linear_widths[0] for size in pair]
    parts = lora.weights.split(sizes, dim=2)
    for reads, gives, n_inputs in zip(parts[::2], parts[1::2], sizes[::2], strict=True):
        assert not gives.any()
        assert reads.std().item() == pytest.approx(n_inputs**-0.5, rel=0.1)


def test_gradients_reach_all_of_them_and_the_backbone_stays(tiny):
    encoder = build(tiny, options=FULL)
    before = {name: tensor.clone() for name, tensor in tiny.model.state_dict().items()}
    optimizer = torch.optim.SGD(encoder.parameters(), lr=0.1)
    start = {name: tensor.detach().clone() for name, tensor in encoder.named_parameters()}
    read(encoder, batch()).pow(2).sum().backward()
    optimizer.step()
    assert all(not torch.equal(start[name], tensor) for name, tensor in encoder.named_parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in tiny.model.state_dict().items())


def test_gradient_equals_difference_quotient(tiny):
    encoder = build(tiny, PromptOptions(length=3, layers=(0, 2), dropout=0.0), FULL)
    weights = torch.randn(6, 32)

    def loss():
        return (read(encoder, batch()) * weights).sum()

    loss().backward()
    gradient = encoder.prompt.values.grad
    step = 1e-2
    for place in [(0, 0), (6 + 2, 5), (3 + 1, 31), (6 + 3, 7)]:  # keys and values of both layers
        with torch.no_grad():
            encoder.prompt.values[place] += step
            above = loss()
            encoder.prompt.values[place] -= 2 * step
            below = loss()
            encoder.prompt.values[place] += step
        assert gradient[place].item() == pytest.approx((above - below).item() / (2 * step), rel=0.02, abs=2e-3)


def test_folded_equals_mlp(tiny):
    encoder = build(tiny, PromptOptions(length=4, mlp_width=8, layers=(1, 2))).eval()
    expected = read(encoder, batch())
    assert isinstance(encoder.prompt, MLPPrompt)
    encoder.prompt = encoder.prompt.fold()
    assert isinstance(encoder.prompt, FlatPrompt)
    torch.testing.assert_close(read(encoder, batch()), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("lengths", [(3, 3), (3, 1), (0, 2)])
@pytest.mark.parametrize("mlp_width", [None, 5])
def test_prompt_shapes(lengths, mlp_width):
    settings = {"layers": (1, 4), "lengths": lengths, "width": 8}
    prompt = FlatPrompt(**settings) if mlp_width is None else MLPPrompt(**settings, mlp_width=mlp_width)
    assert {layer: tuple(p.shape) for layer, p in prompt().items()} == {
        1: (2, lengths[0], 8),
        4: (2, lengths[1], 8),
    }
    folded = prompt.fold()
    assert folded.values.numel() == 2 * sum(lengths) * 8
    for layer, one in prompt().items():
        assert torch.equal(folded()[layer], one)


def test_switched_off_is_the_bare_backbone_to_the_bit(tiny):
    encoder = build(tiny).eval()
    one = batch()
    with encoder.prompt.switched_off():
        off = read(encoder, one)
    embeddings = tiny.model.get_input_embeddings()(one.ids)
    bare = tiny.model(inputs_embeds=embeddings, attention_mask=one.mask).last_hidden_state.flatten(0, 1)[:6]
    assert torch.equal(off, bare)
    assert not torch.allclose(read(encoder, one), bare, atol=1e-3)


def test_dropout_falls_on_the_prompt_in_training_only():
    prompt = FlatPrompt(layers=(0,), lengths=(50,), width=8, dropout=0.5)
    torch.nn.init.ones_(prompt.values)
    assert 0.3 < (prompt()[0] == 0).float().mean() < 0.7
    assert torch.equal(prompt.eval()()[0], torch.ones(2, 50, 8))


def test_normal_start_has_its_deviation(tiny):
    encoder = build(tiny, PromptOptions(length=30, start=NormalStart(0.02)))
    assert encoder.prompt.values.std().item() == pytest.approx(0.02, rel=0.1)


def test_word_start_is_what_the_words_give(tiny):
    """A prompt of a text's own keys and values attends exactly as if the text stood there."""
    rows = word_key_values(tiny, "paris london")[0]
    ids = torch.tensor([tiny.tokenizer("paris london", add_special_tokens=False)["input_ids"]])
    hidden = tiny.model.embeddings(input_ids=ids)
    block = tiny.model.encoder.layer[0].attention.self
    assert torch.allclose(rows[0], block.key(hidden)[0], atol=1e-6)
    assert torch.allclose(rows[1], block.value(hidden)[0], atol=1e-6)
    encoder = build(tiny, PromptOptions(length=(4, 1), layers=(0, 2), start=WordStart("paris london")))
    first, second = encoder.prompt.key_values()
    assert torch.equal(first, rows.repeat(1, 2, 1))  # repeated to the prompt's length
    assert torch.equal(second, word_key_values(tiny, "paris london")[2][:, :1])  # and cut to it


def test_word_shape_starts_without_effect_then_has_one(tiny):
    with_word_shapes, without = (
        build(tiny, options=FULL),
        build(tiny, options={"word_shape": False, "backbone_dropout": False}),
    )
    assert torch.equal(read(with_word_shapes.eval(), batch()), read(without.eval(), batch()))
    torch.nn.init.normal_(with_word_shapes.word_shape.weight)
    assert not torch.allclose(read(with_word_shapes, batch()), read(without, batch()))


def test_word_shape_auto_follows_the_tokenizer(tiny, roberta_folder):
    from spacy_ptv2.backbones.registry import get_backbone
    from spacy_ptv2.backbones.source import BackboneSource

    assert build(tiny, options=FULL).word_shape is not None
    assert build(get_backbone(BackboneSource(str(roberta_folder))), options=FULL).word_shape is None


def test_layer_mix_starts_as_the_mean():
    states = [torch.randn(4, 8) for _ in range(3)]
    torch.testing.assert_close(ScalarMix(3)(states), torch.stack(states).mean(0))


def test_backbone_dropout_is_on_in_training_only(tiny):
    encoder = build(tiny, options={"word_shape": False, "backbone_dropout": True, "mixed_precision": False})
    one_batch = batch()
    encoder.prompt.eval()
    assert not torch.equal(read(encoder, one_batch), read(encoder, one_batch))
    encoder.eval()
    assert torch.equal(read(encoder, one_batch), read(encoder, one_batch))
    assert not tiny.model.training


@pytest.mark.parametrize("kind", ["sdpa", "eager"])
@pytest.mark.parametrize("layers", [None, (1,)])
def test_attention_weights_are_never_dropped(tmp_path, kind, layers):
    settings = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.9}
    folder = save_tiny_backbone(tmp_path / "bert", "bert", **settings)
    options = {"word_shape": False, "backbone_dropout": True, "mixed_precision": False}
    backbone = get_backbone(BackboneSource(str(folder), attention=kind))
    encoder = build(backbone, PromptOptions(length=4, layers=layers, dropout=0.0), options)
    torch.testing.assert_close(read(encoder.train(), batch()), read(encoder.eval(), batch()))


def test_attention_weights_are_dropped_if_asked(tmp_path):
    settings = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.9}
    folder = save_tiny_backbone(tmp_path / "bert", "bert", **settings)
    backbone = get_backbone(BackboneSource(str(folder)))
    options = {"word_shape": False, "backbone_dropout": True, "attention_dropout": True, "mixed_precision": False}
    encoder = build(backbone, PromptOptions(length=4, dropout=0.0), options)
    one = batch()
    assert not torch.allclose(read(encoder.train(), one), read(encoder, one))
    assert torch.equal(read(encoder.eval(), one), read(encoder, one))


@pytest.fixture(scope="module", params=sorted(ORACLES))
def family(request, tmp_path_factory):
    folder = save_tiny_backbone(tmp_path_factory.mktemp("family") / request.param, request.param, deviation=0.15)
    return get_backbone(BackboneSource(str(folder)))


def gradients_of(encoder):
    encoder.zero_grad()
    torch.manual_seed(3)  # dropout
    states = read(encoder, batch(), batch(3, 4))
    (states * torch.linspace(-1, 1, states.numel()).view(states.shape)).sum().backward()
    return {name: parameter.grad.clone() for name, parameter in encoder.named_parameters()}


@pytest.mark.parametrize("mixed_precision", [False, True])
@pytest.mark.parametrize("backbone_dropout", [False, True])
def test_checkpointing_gives_the_same_gradients(family, backbone_dropout, mixed_precision):
    """With its own dropout, hence also with the same random numbers in the second forward pass."""
    settings = {"scalar_mix": True, "mixed_precision": mixed_precision, "backbone_dropout": backbone_dropout}
    options = [{"gradient_checkpointing": switch, **settings} for switch in (False, True)]
    expected, got = (gradients_of(build(family, PromptOptions(length=(2, 5, 3)), o).train()) for o in options)
    for name, gradient in expected.items():
        assert gradient.abs().max() > 0
        torch.testing.assert_close(got[name], gradient, atol=1e-6 * gradient.abs().max().item(), rtol=0)
    assert not family.model.training


def test_checkpointing_keeps_less(tmp_path):
    """What autograd keeps of a training step, in numbers."""
    folder = save_tiny_backbone(tmp_path / "bert", "bert", num_hidden_layers=6)
    backbone = get_backbone(BackboneSource(str(folder)))

    def kept(switch):
        options = {"backbone_dropout": False, "mixed_precision": False, "gradient_checkpointing": switch}
        encoder = build(backbone, PromptOptions(length=4), options)
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.numel()) or x, lambda x: x):
            read(encoder, batch(4, 30))
        return sum(sizes)

    assert kept(True) < kept(False) / 3


@pytest.mark.parametrize("dropped", [True, False])
def test_dropout_of_attention_weights_and_nothing_else_is_off(family, dropped):
    """In every family: the block's own other dropout stays on where the backbone trains."""
    options = {"backbone_dropout": True, "attention_dropout": dropped, "mixed_precision": False}
    encoder = build(family, options=options).train()
    rates, training = [], []
    rule = family.rule
    for block in family.blocks_of(family.in_training(attention_dropout=dropped)):
        block.register_forward_pre_hook(lambda block, _: rates.append(rule.attention_dropout(block)))
        block.register_forward_pre_hook(lambda block, _: training.append({
            name: child.training for name, child in block.named_children()
            if isinstance(child, torch.nn.Dropout) and name != rule.dropout_name
        }))  # fmt: skip
    read(encoder, batch())
    assert len(rates) == 3
    own = family.model.config.to_dict()
    names = ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop", "dropout_rate")
    (rate,) = {own[name] for name in names if name in own}
    assert rates == [rate if dropped else 0.0] * 3
    assert all(all(flags.values()) for flags in training)


def test_training_leaves_the_model_that_others_predict_with_alone(family):
    """Dropout is on in a tree of modules of its own, over the same numbers."""
    options = {"backbone_dropout": True, "mixed_precision": False}
    training = build(family, options=options).train()
    read(training, batch())
    assert training.model.training
    assert not any(module.training for module in family.model.modules())
    twin = family.in_training(attention_dropout=False)
    ours, theirs = (dict(model.named_parameters()) for model in (family.model, twin))
    assert ours.keys() == theirs.keys()
    assert all(ours[name] is theirs[name] for name in ours)
    assert family.in_training(attention_dropout=False) is twin


def test_predicts_the_same_while_another_thread_trains(tiny):
    options = {"backbone_dropout": True, "mixed_precision": False}
    training, predicting = build(tiny, options=options).train(), build(tiny).eval()
    one = batch()
    expected = read(predicting, one)
    assert not torch.equal(read(training, one), read(training, one))
    with ThreadPoolExecutor(1) as pool:
        steps = pool.submit(lambda: [read(training, one).sum().backward() for _ in range(50)])
        while not steps.done():
            assert torch.equal(read(predicting, one), expected)
        steps.result()


def test_bfloat16_training_stays_close(tiny):
    options = {"backbone_dropout": False, "mixed_precision": True}
    half = build(tiny, PromptOptions(length=4, dropout=0.0), options)
    full = build(tiny, PromptOptions(length=4, dropout=0.0), {"backbone_dropout": False, "mixed_precision": False})
    got, expected = read(half, batch()), read(full, batch())
    assert got.dtype == torch.float32
    assert not torch.equal(got, expected)
    assert (got - expected).norm() / expected.norm() < 2e-2
    assert torch.equal(read(half.eval(), batch()), read(full.eval(), batch()))  # prediction is in float32


def test_prompt_changes_what_is_read(tiny):
    encoder = build(tiny).eval()
    with injected():
        bare = tiny.model(input_ids=batch().ids).last_hidden_state.flatten(0, 1)[:6]
    assert not torch.allclose(read(encoder, batch()), bare, atol=1e-3)


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        (PromptOptions(layers=(0, 3)), "P201"),
        (PromptOptions(length=(4, 4)), "P211"),
        (PromptOptions(start=WordStart(" ")), "P204"),
    ],
)
def test_options_that_do_not_fit_are_refused(tiny, prompt, code):
    with pytest.raises(PTuningError, match=code):
        build(tiny, prompt)


def test_an_adapter_is_refused_where_layers_differ(tmp_path, own_backbones):
    backbone = get_backbone(BackboneSource(str(save_tiny_backbone(tmp_path / "bert", "bert"))))
    *widths, last = backbone.linear_widths
    backbone.sizes = replace(backbone.sizes, linear_widths=(*widths, (*last[:-1], (7, 32))))
    with pytest.raises(PTuningError, match=r"P214.*layer 2.*\(7, 32\).*lora_rank = 0"):
        build(backbone, options={**PLAIN, "lora_rank": 1})
    build(backbone, options={**PLAIN, "lora_rank": 0})
