"""The trainable modules around a backbone."""

import pytest
import torch

from spacy_ptv2.backbones.injection import injected
from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.errors import PTuningError
from spacy_ptv2.options import EncoderOptions, NormalStart, PromptOptions, WordStart
from spacy_ptv2.torch_modules.build import build_prompted_encoder
from spacy_ptv2.torch_modules.layer_mix import LayerMix
from spacy_ptv2.torch_modules.prompt_encoder import FlatPrompt, MLPPrompt
from spacy_ptv2.torch_modules.prompt_starts import word_key_values
from spacy_ptv2.torch_modules.prompted_encoder import PieceBatch

from ..tiny import save_tiny_backbone

PLAIN = EncoderOptions(layer_mix=False, casing=False, backbone_dropout=False, mixed_precision=False)
FULL = EncoderOptions(layer_mix=True, casing="auto", backbone_dropout=False, mixed_precision=False)


def build(backbone, prompt=None, options=PLAIN):
    torch.manual_seed(0)
    return build_prompted_encoder(backbone, prompt or PromptOptions(length=4), options, n_casing_classes=9)


def batch(n_rows=2, n_columns=7):
    torch.manual_seed(1)
    shape = (n_rows, n_columns)
    return PieceBatch(
        torch.randint(5, 40, shape), torch.ones(shape, dtype=torch.long), torch.randint(1, 9, shape), torch.arange(6)
    )


def test_exactly_these_tensors_are_trainable(tiny):
    names = {name for name, _ in build(tiny, options=FULL).named_parameters()}
    assert names == {"prompt.values", "layer_mix.weights", "casing.weight"}
    assert set(build(tiny, options=FULL).state_dict()) == names
    mlp = build(tiny, PromptOptions(length=4, mlp_width=8))
    assert {name for name, _ in mlp.named_parameters()} == {
        "prompt.embedding", "prompt.hidden.weight", "prompt.hidden.bias", "prompt.output.weight", "prompt.output.bias"
    }  # fmt: skip


def test_gradients_reach_all_of_them_and_the_backbone_stays(tiny):
    encoder = build(tiny, options=FULL)
    before = {name: tensor.clone() for name, tensor in tiny.model.state_dict().items()}
    optimizer = torch.optim.SGD(encoder.parameters(), lr=0.1)
    start = {name: tensor.detach().clone() for name, tensor in encoder.named_parameters()}
    encoder([batch()]).pow(2).sum().backward()
    optimizer.step()
    assert all(not torch.equal(start[name], tensor) for name, tensor in encoder.named_parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in tiny.model.state_dict().items())


def test_gradient_equals_difference_quotient(tiny):
    encoder = build(tiny, PromptOptions(length=3, layers=(0, 2), dropout=0.0), FULL)
    weights = torch.randn(6, 32)

    def loss():
        return (encoder([batch()]) * weights).sum()

    loss().backward()
    gradient = encoder.prompt.values.grad
    step = 1e-2
    for place in [(0, 0, 0, 0), (1, 0, 2, 5), (0, 1, 1, 31), (1, 1, 0, 7)]:
        with torch.no_grad():
            encoder.prompt.values[place] += step
            above = loss()
            encoder.prompt.values[place] -= 2 * step
            below = loss()
            encoder.prompt.values[place] += step
        assert gradient[place].item() == pytest.approx((above - below).item() / (2 * step), rel=0.02, abs=2e-3)


def test_folded_equals_mlp(tiny):
    encoder = build(tiny, PromptOptions(length=4, mlp_width=8, layers=(1, 2))).eval()
    expected = encoder([batch()])
    assert isinstance(encoder.prompt, MLPPrompt)
    encoder.prompt = encoder.prompt.fold()
    assert isinstance(encoder.prompt, FlatPrompt)
    torch.testing.assert_close(encoder([batch()]), expected, atol=1e-6, rtol=0)


def test_prompt_shapes():
    prompt = FlatPrompt(layers=(1, 4), length=3, width=8)
    assert prompt.shape == (2, 2, 3, 8)
    assert {layer: tuple(rows.shape) for layer, rows in prompt().items()} == {1: (2, 3, 8), 4: (2, 3, 8)}


def test_dropout_falls_on_the_prompt_in_training_only():
    prompt = FlatPrompt(layers=(0,), length=50, width=8, dropout=0.5)
    torch.nn.init.ones_(prompt.values)
    assert 0.3 < (prompt()[0] == 0).float().mean() < 0.7
    assert torch.equal(prompt.eval()()[0], torch.ones(2, 50, 8))


def test_normal_start_has_its_deviation(tiny):
    encoder = build(tiny, PromptOptions(length=30, start=NormalStart(0.02)))
    assert encoder.prompt.values.std().item() == pytest.approx(0.02, rel=0.1)


def test_word_start_is_what_the_words_give(tiny):
    """A prompt of a text's own keys and values attends exactly as if the text stood there."""
    rows = word_key_values(tiny, "paris london", (0,), 4)
    ids = torch.tensor([tiny.tokenizer("paris london", add_special_tokens=False)["input_ids"]])
    hidden = tiny.model.embeddings(input_ids=ids)
    block = tiny.model.encoder.layer[0].attention.self
    assert torch.allclose(rows[0, 0, :2], block.key(hidden)[0], atol=1e-6)
    assert torch.allclose(rows[0, 1, :2], block.value(hidden)[0], atol=1e-6)
    assert torch.equal(rows[..., 2:, :], rows[..., :2, :])  # repeated to the prompt's length
    encoder = build(tiny, PromptOptions(length=4, start=WordStart("paris london")))
    assert torch.equal(encoder.prompt.values[0], rows[0])


def test_casing_embedding_starts_without_effect_then_has_one(tiny):
    with_casing, without = (
        build(tiny, options=FULL),
        build(tiny, options=EncoderOptions(casing=False, backbone_dropout=False)),
    )
    assert torch.equal(with_casing.eval()([batch()]), without.eval()([batch()]))
    torch.nn.init.normal_(with_casing.casing.weight)
    assert not torch.allclose(with_casing([batch()]), without([batch()]))


def test_casing_auto_follows_the_tokenizer(tiny, roberta_folder):
    from spacy_ptv2.backbones.registry import get_backbone
    from spacy_ptv2.backbones.source import BackboneSource

    assert build(tiny, options=FULL).casing is not None
    assert build(get_backbone(BackboneSource(str(roberta_folder))), options=FULL).casing is None


def test_layer_mix_starts_as_the_mean():
    states = [torch.randn(4, 8) for _ in range(3)]
    torch.testing.assert_close(LayerMix(3)(states), torch.stack(states).mean(0))


def test_backbone_dropout_is_on_in_training_only(tiny):
    encoder = build(tiny, options=EncoderOptions(casing=False, backbone_dropout=True, mixed_precision=False))
    one_batch = batch()
    encoder.prompt.eval()
    assert not torch.equal(encoder([one_batch]), encoder([one_batch]))
    encoder.eval()
    assert torch.equal(encoder([one_batch]), encoder([one_batch]))
    assert not tiny.model.training


def test_attention_weights_are_never_dropped(tmp_path):
    settings = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.9}
    folder = save_tiny_backbone(tmp_path / "bert", "bert", **settings)
    options = EncoderOptions(casing=False, backbone_dropout=True, mixed_precision=False)
    encoder = build(get_backbone(BackboneSource(str(folder))), PromptOptions(length=4, dropout=0.0), options)
    torch.testing.assert_close(encoder.train()([batch()]), encoder.eval()([batch()]))


def test_bfloat16_training_stays_close(tiny):
    options = EncoderOptions(backbone_dropout=False, mixed_precision=True)
    half = build(tiny, PromptOptions(length=4, dropout=0.0), options)
    full = build(
        tiny, PromptOptions(length=4, dropout=0.0), EncoderOptions(backbone_dropout=False, mixed_precision=False)
    )
    got, expected = half([batch()]), full([batch()])
    assert got.dtype == torch.float32
    assert not torch.equal(got, expected)
    assert (got - expected).norm() / expected.norm() < 2e-2
    assert torch.equal(half.eval()([batch()]), full.eval()([batch()]))  # prediction is in float32


def test_prompt_changes_what_is_read(tiny):
    encoder = build(tiny).eval()
    with injected({}):
        bare = tiny.model(input_ids=batch().ids).last_hidden_state.flatten(0, 1)[:6]
    assert not torch.allclose(encoder([batch()]), bare, atol=1e-3)


@pytest.mark.parametrize(
    ("prompt", "options", "code"),
    [
        (PromptOptions(layers=(0, 3)), PLAIN, "P201"),
        (PromptOptions(length=-1), PLAIN, "P202"),
        (PromptOptions(start=WordStart(" ")), PLAIN, "P204"),
        (PromptOptions(), EncoderOptions(mixed_precision="yes"), "P208"),
        (PromptOptions(), EncoderOptions(casing="no"), "P209"),
    ],
)
def test_options_that_do_not_fit_are_refused(tiny, prompt, options, code):
    with pytest.raises(PTuningError, match=code):
        build(tiny, prompt, options)
