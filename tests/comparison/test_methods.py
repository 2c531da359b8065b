"""Each method of a comparison trains its own part of the model, whatever the config, and nothing else changes."""

import pytest
from spacy.util import load_config
from thinc.api import Config

from spacy_ptv2.comparison.methods import FULL, LONG_PROMPT, METHODS, PLAIN, apply
from spacy_ptv2.errors import PTuningError

from ..conftest import ROOT

SHIPPED = sorted(path.name for path in (ROOT / "configs").glob("*.cfg") if not path.name.startswith("finetune"))


def differences(before, after, where=""):
    """The settings that differ, by their dotted names."""
    found = {}
    for key in before.keys() | after.keys():
        a, b = before.get(key), after.get(key)
        name = f"{where}.{key}".lstrip(".")
        if isinstance(a, dict) or isinstance(b, dict):
            found.update(differences(a or {}, b or {}, name))
        elif a != b:
            found[name] = b
    return found


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("method", METHODS)
def test_only_what_trains_changes(name, method):
    config = load_config(ROOT / "configs" / name, interpolate=True)
    untouched = config.to_str()
    changes = differences(config, apply(method, config))
    assert config.to_str() == untouched
    allowed = {"lora_rank", "length", "layers"}
    if "prompt" in method:
        allowed |= {"prompt", "word_shape", "head"}
    if METHODS[method].is_full:
        allowed |= {"dtype", "engine", "attention_dropout", "restarts"}
    if method == PLAIN:
        allowed |= {"scalar_mix", "word_shape", "outside_bias"}
    assert {key.rpartition(".")[2] for key in changes} <= allowed
    has_lora = name not in ("reference_ner.cfg", "ner_prompts.cfg")
    assert bool(changes) == (method != ("prompt+lora" if has_lora else "prompt") or name == "reference_ner.cfg")


@pytest.mark.parametrize(
    ("method", "length", "rank", "layers"),
    [
        ("probe", 0, 0, None),
        ("input-prompt", LONG_PROMPT, 0, [0]),
        ("prompt", LONG_PROMPT, 0, None),
        ("lora", 0, 7, None),
        ("prompt+lora", 8, 7, None),
        (FULL, 0, 0, None),
        (PLAIN, 0, 0, None),
    ],
)
def test_methods(method, length, rank, layers):
    changed = apply(method, load_config(ROOT / "configs" / "ner.cfg", interpolate=True))
    encoder = changed["components"]["transformer"]["model"]
    adapter = encoder["adapter"]
    assert (adapter["prompt"]["length"], adapter["lora_rank"], adapter["prompt"]["layers"]) == (length, rank, layers)
    rates = changed["training"]["optimizer"]["learn_rates"]
    assert (rates["prompt"], rates["head"]) == ((0.03, 0.005) if length == LONG_PROMPT else (0.01, 0.001))
    assert encoder["runtime"]["engine"] == ("torch" if METHODS[method].is_full else "auto")


def test_blocks_that_a_config_leaves_out_are_added():
    encoder = {"@architectures": "spacy_ptv2.Tok2VecPTuning.v1", "backbone": {"@misc": "spacy_ptv2.Backbone.v1"}}
    heads = {"a": {"model": {"tok2vec": encoder}}, "b": {"model": {"tok2vec": {**encoder, "adapter": None}}}}
    config = Config({"components": heads, "training": {"optimizer": {"@optimizers": "Adam.v1"}}})
    for name in "ab":
        changed = apply("prompt", config)["components"][name]["model"]["tok2vec"]
        assert changed["adapter"] == {
            "@misc": "spacy_ptv2.Adapter.v1",
            "lora_rank": 0,
            "prompt": {"@misc": "spacy_ptv2.Prompt.v1", "length": LONG_PROMPT},
        }
        assert apply(FULL, config)["components"][name]["model"]["tok2vec"]["runtime"]["engine"] == "torch"
    # "lora" and "prompt+lora" have the default rank and length, also where the config has none
    assert apply("lora", config)["components"]["a"]["model"]["tok2vec"]["adapter"]["prompt"]["length"] == 0
    heads["a"]["model"]["tok2vec"]["adapter"] = {"@misc": "spacy_ptv2.Adapter.v1", "lora_rank": 0}
    for method in ("lora", "prompt+lora"):
        adapter = apply(method, Config(config))["components"]["a"]["model"]["tok2vec"]["adapter"]
        assert adapter["lora_rank"] == 7


def test_what_cannot_be_compared():
    config = load_config(ROOT / "configs" / "ner.cfg", interpolate=True)
    with pytest.raises(PTuningError, match="P771.*'adapter'.*probe, input-prompt, prompt, lora, prompt.lora, full"):
        apply("adapter", config)
    with pytest.raises(PTuningError, match="P770.*Tok2VecPTuning"):
        apply("probe", Config({"components": {"ner": {"factory": "ner"}}, "training": {}}))
