"""An adapter starts from a trained one: the same tensors, another head; what does not fit is refused by name."""

import pytest
import torch
from spacy.training.initialize import init_nlp

from spacy_ptv2.errors import PTuningError
from spacy_ptv2.serialization.models import adapter_shims
from spacy_ptv2.training.init_adapter import build_init_adapter_v1
from spacy_ptv2.training.run import train

from ..tiny import small_ner_config

ADAPTER = "components.transformer.model.adapter"


def config_of(folder, corpus, changes=None, **callback):
    config = small_ner_config(folder, corpus, {"initialize.before_init.epochs": 2, **(changes or {})})
    if callback:
        config["initialize"]["after_init"] = {"@callbacks": "spacy_ptv2.init_adapter.v1", **callback}
    return config


def state_of(nlp):
    (shim,) = adapter_shims(nlp.get_pipe("transformer").model)
    return shim.export_state()


@pytest.fixture(scope="module")
def trained(tiny_folder, corpus, tmp_path_factory):
    """A trained pipeline, and its folder."""
    folder = tmp_path_factory.mktemp("trained")
    nlp, _ = train(init_nlp(config_of(tiny_folder, corpus, {f"{ADAPTER}.prompt.length": 3, f"{ADAPTER}.lora_rank": 2})))
    nlp.to_disk(folder)
    return state_of(nlp), folder


def test_it_starts_from_what_was_trained(trained, tiny_folder, corpus):
    state, folder = trained
    nlp = init_nlp(config_of(tiny_folder, corpus, source=str(folder)))  # another length and rank
    assert state_of(nlp).keys() == state.keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in state_of(nlp).items())
    train(nlp)  # and learns from there
    assert not torch.equal(state_of(nlp)["prompt.values"], state["prompt.values"])


def test_parts_by_choice_and_frozen(trained, tiny_folder, corpus):
    state, folder = trained
    rates = {f"training.optimizer.learn_rates.{part}": 0.0 for part in ("prompt", "lora")}
    config = config_of(
        tiny_folder, corpus, rates, source=str(folder), parts=["prompt", "lora"], component="transformer"
    )
    nlp = init_nlp(config)
    assert not torch.equal(state_of(nlp)["word_shape.weight"], state["word_shape.weight"])
    train(nlp)
    for name, tensor in state_of(nlp).items():
        assert torch.equal(tensor, state[name]) == name.startswith(("prompt", "lora"))


def test_a_loaded_pipeline_is_left_alone(trained, tiny_folder, corpus, tmp_path):
    import spacy

    config_of(tiny_folder, corpus)
    nlp = init_nlp(config_of(tiny_folder, corpus, source=str(trained[1])))
    nlp.config["initialize"]["after_init"]["source"] = "gone"
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    loaded.initialize()
    assert not torch.equal(state_of(loaded)["prompt.values"], trained[0]["prompt.values"])


@pytest.mark.parametrize(
    ("changes", "callback", "code"),
    [
        ({}, {"parts": ["head"]}, "P775.*prompt, lora, scalar_mix, word_shape, got head"),
        ({}, {"component": "token_classifier"}, "P774.*got none.*asked for: token_classifier"),
        ({f"{ADAPTER}.scalar_mix": False}, {"parts": ["scalar_mix"]}, "P776.*'scalar_mix'"),
        ({f"{ADAPTER}.prompt.layers": [1]}, {"parts": ["prompt"]}, r"P778.*layers \[0, 1, 2\], this one in \[1\]"),
    ],
)
def test_what_does_not_fit(trained, tiny_folder, corpus, changes, callback, code):
    with pytest.raises(PTuningError, match=code):
        init_nlp(config_of(tiny_folder, corpus, changes, source=str(trained[1]), **callback))


def test_another_backbone(trained, roberta_folder, corpus):
    with pytest.raises(PTuningError, match="P777"):
        init_nlp(config_of(roberta_folder, corpus, source=str(trained[1])))


def test_parts_are_checked_at_once():
    with pytest.raises(PTuningError, match="P775"):
        build_init_adapter_v1("somewhere", parts=["adapter"])
