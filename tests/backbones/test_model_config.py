"""What a config.json says about calls changes nothing, in any family; what makes another model is refused by name."""

import json
import shutil

import pytest
import torch

from spacy_ptv2.adapters.batches import PieceBatch, Reading
from spacy_ptv2.adapters.joint_pass import read_batches
from spacy_ptv2.backbones.loading import read_model_config
from spacy_ptv2.backbones.model_config import OUTPUTS, WITHOUT_EFFECT, asked_in_vain, find_width
from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.errors import BackboneError
from spacy_ptv2.injection.families import find_family
from spacy_ptv2.options import PromptOptions

from ..injection.oracles import ORACLES
from ..tiny import build_adapted, save_tiny_backbone

SAID = {
    "output_attentions": True,
    "output_hidden_states": True,
    "return_dict": False,
    "torchscript": True,
    "use_cache": True,
    "gradient_checkpointing": True,
    "reference_compile": True,
    "tie_encoder_decoder": True,
}
OPTIONS = {"lora_rank": 1, "word_shape": False, "mixed_precision": False, "engine": "torch"}


def saying(folder, target, **settings):
    """A copy of a model's folder whose config.json says something more."""
    shutil.copytree(folder, target)
    config = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(json.dumps({**config, **settings}))
    return target


def build(folder):
    torch.manual_seed(3)
    backbone = get_backbone(BackboneSource(str(folder)))
    return build_adapted(backbone, PromptOptions(length=3, dropout=0.0), **OPTIONS)


def results(encoder):
    """States in prediction and in training, and the gradient of the prompt."""
    torch.manual_seed(1)
    ids, mask = torch.randint(5, 40, (2, 7)), torch.tensor([[1] * 7, [1] * 4 + [0] * 3])
    wanted = mask.flatten().nonzero().squeeze(1)
    batch = PieceBatch(ids, mask, torch.zeros_like(ids), [Reading(torch.arange(2), wanted)])
    with torch.no_grad():
        (predicted,) = read_batches([encoder.eval()], [batch])
    (trained,) = read_batches([encoder.train()], [batch])
    trained.square().sum().backward()
    return predicted, trained.detach(), encoder.prompt.values.grad


def assert_same(got, expected):
    for own, other in zip(got, expected, strict=True):
        torch.testing.assert_close(own, other, atol=0, rtol=0)


@pytest.mark.parametrize("family", sorted(ORACLES))
def test_all_of_it_changes_nothing_in_any_family(family, tmp_path):
    folder = save_tiny_backbone(tmp_path / family, family)
    assert_same(results(build(saying(folder, tmp_path / "said", **SAID))), results(build(folder)))


@pytest.mark.parametrize(
    ("name", "value"), [*SAID.items(), ("_attn_implementation", "flash_attention_2"), ("attn_implementation", "eager")]
)
def test_each_by_itself_changes_nothing(tiny_folder, name, value, tmp_path):
    assert_same(results(build(saying(tiny_folder, tmp_path / name, **{name: value}))), results(build(tiny_folder)))


def test_all_of_it_is_tested():
    assert {*OUTPUTS, *WITHOUT_EFFECT} == {*SAID, "attn_implementation", "_attn_implementation"}


def test_a_config_that_changes_later_changes_nothing(tmp_path):
    folder = save_tiny_backbone(tmp_path / "bert", "bert", seed=5)
    encoder = build(folder)
    expected = results(encoder)
    config = encoder.backbone.model.config
    config._output_attentions, config.return_dict, config.output_hidden_states = True, False, True
    assert_same(results(build(folder)), expected)


@pytest.mark.parametrize("family", ["bert", "mpnet", "t5"])
def test_encoders_set_up_as_decoders_are_refused(family, tmp_path):
    folder = saying(save_tiny_backbone(tmp_path / family, family), tmp_path / "decoder", is_decoder=True)
    with pytest.raises(BackboneError, match="P107.*is_decoder"):
        build(folder)


@pytest.mark.parametrize("family", ["bert", "gpt2", "t5"])
def test_pruned_heads_are_refused(family, tmp_path):
    folder = saying(save_tiny_backbone(tmp_path / family, family), tmp_path / "pruned", pruned_heads={"0": [1]})
    with pytest.raises(BackboneError, match="P107.*pruned_heads"):
        build(folder)


@pytest.mark.parametrize("family", sorted(ORACLES))
def test_width_without_weights(family, tmp_path):
    folder = save_tiny_backbone(tmp_path / family, family)
    width = find_family(read_model_config(folder), folder).hidden_width(read_model_config(folder))
    (folder / "model.safetensors").write_bytes(b"damaged")
    assert find_width(BackboneSource(str(folder))) == width == 32


def test_no_width_where_there_is_none(tmp_path, tiny_folder):
    assert find_width(BackboneSource("nobody/nothing", allow_download=True)) is None
    (tmp_path / "config.json").write_text("{")
    assert find_width(BackboneSource(str(tmp_path))) is None
    unknown = saying(tiny_folder, tmp_path / "unknown", model_type="xlnet")
    assert find_width(BackboneSource(str(unknown))) is None


def test_what_is_asked_in_vain(tiny_folder):
    config = read_model_config(tiny_folder)
    fine = {"output_attentions": False, "hidden_dropout_prob": 0.1, **WITHOUT_EFFECT, "use_cache": True}
    assert asked_in_vain(fine, config) == asked_in_vain(fine, None) == {}
    wanted = {"output_attentions": True, "hidden_dropout_prob": 0.5, "no_such_setting": 1}
    assert asked_in_vain(wanted, config) == wanted
    assert asked_in_vain(wanted, None) == {"output_attentions": True}
