"""Options: what a config block becomes, what is refused, and that a default stands in one place."""

import json
from dataclasses import MISSING, fields

import pytest
import spacy
from spacy.util import registry
from thinc.api import Config

from spacy_ptv2.architectures import build_tok2vec_ptuning_v1, build_transformer_model_v1
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.bridge.adapter_shim import AdapterShim
from spacy_ptv2.errors import PTuningError
from spacy_ptv2.options import AdapterOptions, NormalStart, PromptOptions, RuntimeOptions, WindowOptions
from spacy_ptv2.serialization.models import adapter_shims

from .conftest import ROOT

BLOCKS = {
    "Backbone": BackboneSource,
    "Adapter": AdapterOptions,
    "Prompt": PromptOptions,
    "Windows": WindowOptions,
    "Runtime": RuntimeOptions,
}
REFERENCE = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf8")


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (PromptOptions, {"length": -1}, "P202.*-1"),
        (PromptOptions, {"length": [4, -2]}, "P202.*-2"),
        (PromptOptions, {"dropout": 1.0}, "P407.*prompt dropout.*1.0"),
        (PromptOptions, {"mlp_width": 0}, "P407.*mlp_width.*0"),
        (AdapterOptions, {"lora_rank": -1}, "P407.*lora_rank.*-1"),
        (AdapterOptions, {"word_shape": "no"}, "P209.*no"),
        (AdapterOptions, {"word_shape_place": "head"}, "P407.*'pieces', 'prompt'.*head"),
        (WindowOptions, {"batch_pieces": 0}, "P407.*batch_pieces.*0"),
        (RuntimeOptions, {"mixed_precision": "yes"}, "P208.*yes"),
        (RuntimeOptions, {"hidden_state_cache_mb": -1}, "P213.*-1"),
        (RuntimeOptions, {"engine": "onnx"}, "P407.*engine.*'openvino-int8'.*onnx"),
    ],
)
def test_what_cannot_be_is_refused(kind, settings, message):
    with pytest.raises(PTuningError, match=message):
        kind(**settings)


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_becomes_an_object(name):
    extra = {"name": "a/b"} if name == "Backbone" else {}
    block = {"@misc": f"spacy_ptv2.{name}.v1", **extra}
    assert registry.resolve({"block": block})["block"] == BLOCKS[name](**extra)
    filled = registry.fill(Config({"block": block}))["block"]
    assert set(filled) == {"@misc", *(field.name for field in fields(BLOCKS[name]))}


def test_a_whole_block(tiny_folder):
    text = f"""
    [model]
    @architectures = "spacy_ptv2.Tok2VecPTuning.v1"

    [model.backbone]
    @misc = "spacy_ptv2.Backbone.v1"
    name = "{tiny_folder}"

    [model.adapter]
    @misc = "spacy_ptv2.Adapter.v1"
    lora_rank = 3

    [model.adapter.prompt]
    @misc = "spacy_ptv2.Prompt.v1"
    length = [1, 2, 3]

    [model.adapter.prompt.start]
    @misc = "spacy_ptv2.NormalStart.v1"
    deviation = 0.5
    """.replace("    ", "")
    (shim,) = adapter_shims(registry.resolve(Config().from_str(text))["model"])
    assert shim.adapter == AdapterOptions(PromptOptions([1, 2, 3], start=NormalStart(0.5)), lora_rank=3)
    assert shim.runtime == RuntimeOptions()


DROP_IN = pytest.param(build_transformer_model_v1, marks=pytest.mark.spacy_transformers)


@pytest.mark.parametrize("build", [build_tok2vec_ptuning_v1, DROP_IN])
def test_blocks_that_are_left_out_are_the_defaults(build, tiny_folder):
    first = BackboneSource(str(tiny_folder)) if build is build_tok2vec_ptuning_v1 else str(tiny_folder)
    (shim,) = adapter_shims(build(first))
    assert isinstance(shim, AdapterShim)
    assert (shim.adapter, shim.runtime) == (AdapterOptions(), RuntimeOptions())


def test_the_factory_shows_all_settings():
    nlp = spacy.blank("en")
    nlp.add_pipe("ptuning_transformer")
    model = nlp.config["components"]["ptuning_transformer"]["model"]
    for name, block in {**model, "prompt": model["adapter"]["prompt"]}.items():
        if name.title() in BLOCKS:
            defaults = {f.name: f.default for f in fields(BLOCKS[name.title()]) if f.default is not MISSING}
            shown = {key: block[key] for key in defaults if key != "prompt"}
            assert shown == {key: value for key, value in defaults.items() if key != "prompt"}


@pytest.mark.spacy_transformers
def test_the_drop_ins_own_switch_comes_first(tiny_folder):
    runtime = RuntimeOptions(mixed_precision=True)
    for given, expected in ((None, True), (False, False), ("auto", "auto")):
        (shim,) = adapter_shims(build_transformer_model_v1(str(tiny_folder), mixed_precision=given, runtime=runtime))
        assert shim.runtime.mixed_precision == expected


@pytest.mark.spacy_transformers
def test_the_drop_in_has_one_backbone(tiny_folder):
    (shim,) = adapter_shims(
        build_transformer_model_v1(str(tiny_folder), backbone=BackboneSource(str(tiny_folder), "main"))
    )
    assert shim.source.revision == "main"
    with pytest.raises(PTuningError, match="P220.*'a/b'.*'c/d'"):
        build_transformer_model_v1("a/b", backbone=BackboneSource("c/d"))


@pytest.mark.parametrize("name", BLOCKS)
def test_the_reference_has_every_default(name):
    """docs/reference/configuration.md writes a setting as | `name` [default] | ... |, under the block's own heading."""
    section = REFERENCE.split(f"### `spacy_ptv2.{name}.v1`", 1)[1].split("\n### ", 1)[0].split("\n## ", 1)[0]
    for field in fields(BLOCKS[name]):
        default = "" if field.default is MISSING else f" [{_as_config(field.default)}]"
        assert f"| `{field.name}`{default} |" in section


def _as_config(value):
    return "null" if value is None else json.dumps(value)
