"""LoRA of PEFT, over the same tiny models in one process: the same hidden states there and here."""

import json

import numpy as np
import pytest
import spacy
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForTokenClassification

from spacy_ptv2.errors import FormatError
from spacy_ptv2.interchange.pipelines import export_adapter, import_adapter

from ..tiny import build_pipeline, save_tiny_backbone, train
from .states import TEXT, backbone_in, pieces, run, shim_of, states_here, states_there

peft = pytest.importorskip("peft")

ATTENTION = ["query", "value"]
LORA_ONLY = {"prompt": {"length": 0}, "scalar_mix": False, "word_shape": False}
CLOSE = {"atol": 1e-5, "rtol": 1e-5}
# Of a LoRA in PEFT; its alpha is 8 unless another is named.
VARIANTS = {
    "all-linear": {"target_modules": "all-linear", "r": 3},
    "query and value": {"target_modules": ATTENTION, "r": 3, "lora_alpha": 3},
    "alpha": {"target_modules": ATTENTION, "r": 4, "lora_alpha": 16},
    "rslora": {"target_modules": ATTENTION, "r": 4, "lora_alpha": 16, "use_rslora": True},
    "upper layers": {"target_modules": ["dense"], "r": 2, "layers_to_transform": [1, 2], "layers_pattern": "layer"},
    "patterns": {
        "target_modules": ATTENTION,
        "r": 2,
        "rank_pattern": {"query": 5},
        "alpha_pattern": {"layer.1.attention.self.value": 7, "key": 3},
    },
}


def lora_of_peft(model, folder, **settings):
    """A PEFT model with LoRA far from its start, as after training, saved into a folder."""
    torch.manual_seed(0)
    wrapped = peft.get_peft_model(model, peft.LoraConfig(**{"task_type": "FEATURE_EXTRACTION", **settings})).eval()
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.2)
    wrapped.save_pretrained(folder)
    return wrapped


def prefix_of_peft(model, folder):
    torch.manual_seed(1)
    wrapped = peft.get_peft_model(
        model, peft.PrefixTuningConfig(task_type="FEATURE_EXTRACTION", num_virtual_tokens=5)
    ).eval()
    with torch.no_grad():
        for parameter in wrapped.prompt_encoder.parameters():
            parameter.normal_()
    wrapped.save_pretrained(folder)
    return wrapped


def in_peft(folder, adapter):
    return peft.PeftModel.from_pretrained(AutoModel.from_pretrained(folder), adapter).eval()


@pytest.mark.filterwarnings("ignore:.*PW18")
@pytest.mark.parametrize("variant", VARIANTS)
def test_there_and_back(folder, base, variant, tmp_path):
    ids, mask = pieces(folder)
    bare = states_there(base, ids, mask)
    model = lora_of_peft(base, tmp_path / "adapter", **VARIANTS[variant])
    expected = states_there(model, ids, mask)
    assert (expected - bare).abs().max() > 0.1
    nlp = import_adapter(tmp_path / "adapter")
    torch.testing.assert_close(states_here(nlp, ids, mask), expected, **CLOSE)

    export_adapter(nlp, tmp_path / "back", "peft")
    again = in_peft(folder, tmp_path / "back")
    torch.testing.assert_close(states_there(again, ids, mask), states_here(nlp, ids, mask), **CLOSE)
    config = again.peft_config["default"]
    assert config.r == config.lora_alpha and not config.use_rslora
    assert set(again.base_model.targeted_module_names) == {
        name for name in model.base_model.targeted_module_names if "pooler" not in name
    }


def test_only_the_layers_that_have_any(folder, base, tmp_path):
    lora_of_peft(base, tmp_path / "adapter", **VARIANTS["upper layers"])
    encoder = shim_of(import_adapter(tmp_path / "adapter")).encoder
    assert (encoder.lora.layers, encoder.prompt.layers, encoder.prompt.longest) == ((1, 2), (1, 2), 0)


@pytest.mark.parametrize("variant", ["query and value", "upper layers"])
def test_beside_a_prefix(folder, tmp_path, variant):
    """Two adapters of PEFT, both at work, are one here."""
    base = AutoModel.from_pretrained(folder).eval()
    lora_of_peft(base, tmp_path / "lora", **VARIANTS[variant])  # in place
    model = prefix_of_peft(base, tmp_path / "prompt")
    ids, mask = pieces(folder)
    expected = states_there(model, ids, mask)
    nlp = import_adapter([tmp_path / "lora", tmp_path / "prompt"])
    assert shim_of(nlp).encoder.shift_positions
    torch.testing.assert_close(states_here(nlp, ids, mask), expected, **CLOSE)

    export_adapter(nlp, tmp_path / "back", "peft")
    assert sorted(part.name for part in (tmp_path / "back").iterdir()) == ["lora", "prompt"]
    again = in_peft(folder, tmp_path / "back" / "lora").get_base_model()
    again = peft.PeftModel.from_pretrained(again, tmp_path / "back" / "prompt").eval()
    torch.testing.assert_close(states_there(again, ids, mask), states_here(nlp, ids, mask), **CLOSE)


def test_beside_a_prefix_of_some_layers(folder, base, tmp_path):
    """Of adapters, which may leave layers out; they are still left out when it goes back."""
    rows = {"prefix_tuning.prefix_tunings.ner.self_prefix.control_trans": torch.randn(5 * 2 * 2 * 32)}
    settings = {"architecture": "prefix_tuning", "flat": True, "prefix_length": 5, "leave_out": [1]}
    (tmp_path / "prompt").mkdir()
    save_file(rows, tmp_path / "prompt" / "adapter.safetensors")
    (tmp_path / "prompt" / "adapter_config.json").write_text(json.dumps({"name": "ner", "config": settings}))
    lora_of_peft(base, tmp_path / "lora", **VARIANTS["query and value"])
    nlp = import_adapter([tmp_path / "prompt", tmp_path / "lora"])
    assert shim_of(nlp).encoder.prompt.lengths == (5, 0, 5)
    with pytest.warns(UserWarning, match="PW04.*place for it: lora"):
        export_adapter(nlp, tmp_path / "back", "adapters")
    assert json.loads((tmp_path / "back" / "adapter_config.json").read_text())["config"]["leave_out"] == [1]
    (back,) = load_file(tmp_path / "back" / "adapter.safetensors").values()
    torch.testing.assert_close(back, *rows.values())
    nlp.to_disk(tmp_path / "pipeline")
    np.testing.assert_array_equal(spacy.load(tmp_path / "pipeline")(TEXT).tensor, nlp(TEXT).tensor)


@pytest.mark.parametrize("family", ["distilbert", "gpt2", "llama", "modernbert", "t5"])
def test_other_families(family, tmp_path):
    """GPT-2 has Conv1D in place of Linear."""
    folder = save_tiny_backbone(tmp_path / "model", family, deviation=0.15)
    load = getattr(transformers, backbone_in(folder).rule.model_class).from_pretrained
    wrapped = lora_of_peft(load(folder).eval(), tmp_path / "adapter", target_modules="all-linear", r=2)
    ids = torch.tensor([backbone_in(folder).tokenizer(TEXT)["input_ids"]])
    mask = torch.ones_like(ids)
    nlp = import_adapter(tmp_path / "adapter")
    torch.testing.assert_close(states_here(nlp, ids, mask), states_there(wrapped, ids, mask), **CLOSE)
    export_adapter(nlp, tmp_path / "back", "peft")
    again = peft.PeftModel.from_pretrained(load(folder), tmp_path / "back").eval()
    torch.testing.assert_close(states_there(again, ids, mask), states_here(nlp, ids, mask), **CLOSE)


def test_heads_are_left_out(folder, tmp_path):
    """Trained inside a model with a head, whose names start with that of the model in it."""
    model = AutoModelForTokenClassification.from_pretrained(folder, num_labels=3)
    wrapped = lora_of_peft(model, tmp_path / "adapter", task_type="TOKEN_CLS", target_modules=ATTENTION, r=2)
    with pytest.warns(UserWarning, match="PW18.*classifier.weight"):
        nlp = import_adapter(tmp_path / "adapter")
    ids, mask = pieces(folder)
    with torch.no_grad():
        expected = wrapped(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[-1]
    torch.testing.assert_close(states_here(nlp, ids, mask), expected[mask.bool()], **CLOSE)


def test_commands_there_and_back(long_folder, corpus, tmp_path):
    """A trained pipeline with a prompt and LoRA, through PEFT's files: the same vectors."""
    prompt = {"length": 4, "shift_positions": True}
    nlp = build_pipeline(long_folder, corpus, prompt=prompt, lora_rank=2, scalar_mix=False, word_shape=False)
    train(nlp, corpus, steps=5)
    nlp.to_disk(tmp_path / "pipeline")
    out = run("export", tmp_path / "pipeline", tmp_path / "out")
    assert "4 positions in 3 layers and LoRA of rank 2 in 3 layers, as peft reads it" in out and "PW04" not in out
    out = run("import", tmp_path / "out" / "prompt", tmp_path / "out" / "lora", tmp_path / "again")
    assert "4 positions in 3 layers and LoRA of rank 2 in 3 layers over" in out
    np.testing.assert_allclose(spacy.load(tmp_path / "again")(TEXT).tensor, nlp(TEXT).tensor, atol=1e-6, rtol=0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_commands_from_peft(folder, base, variant, tmp_path):
    expected = lora_of_peft(base, tmp_path / "adapter", **VARIANTS[variant])
    out = run("import", tmp_path / "adapter", tmp_path / "pipeline")
    assert ("PW18" in out) == (variant == "all-linear") and "positions" not in out
    run("export", tmp_path / "pipeline", tmp_path / "back")
    ids, mask = pieces(folder)
    again = in_peft(folder, tmp_path / "back")
    torch.testing.assert_close(states_there(again, ids, mask), states_there(expected, ids, mask), **CLOSE)


@pytest.mark.filterwarnings("ignore:.*PW18")
def test_what_was_empty_can_be_trained(folder, base, corpus, tmp_path):
    """Linear layers without LoRA there start here as those of any new LoRA."""
    lora_of_peft(base, tmp_path / "adapter", **VARIANTS["patterns"])
    imported = import_adapter(tmp_path / "adapter")
    before = shim_of(imported).encoder.lora.weights.detach().clone()
    nlp = spacy.blank("en")
    nlp.add_pipe("transformer", source=imported)
    nlp.add_pipe("token_classifier")
    with nlp.select_pipes(disable=["transformer"]):
        nlp.initialize(lambda: spacy.training.Corpus(corpus)(nlp))
    train(nlp, corpus, steps=3)
    assert (shim_of(nlp).encoder.lora.weights != before).all()


@pytest.mark.parametrize("format_name", ["thudm", "adapters"])
def test_lora_alone_has_no_place_in_other_formats(tiny_folder, corpus, tmp_path, format_name):
    nlp = build_pipeline(tiny_folder, corpus, **LORA_ONLY)
    with pytest.raises(FormatError, match=f"P505.*'{format_name}' has place for prompts only, got LoRA of rank 1"):
        export_adapter(nlp, tmp_path / "out", format_name)
    assert not (tmp_path / "out").exists()


def test_nothing_to_write(tiny_folder, corpus, tmp_path):
    nlp = build_pipeline(tiny_folder, corpus, **LORA_ONLY, lora_rank=0)
    with pytest.raises(FormatError, match="P505.*place for prompts and LoRA only, got neither"):
        export_adapter(nlp, tmp_path / "out", "peft")


def test_layers_that_share_their_weights(tmp_path, corpus):
    """ALBERT: one LoRA for all layers in PEFT, one for each here. Its prompts can be exchanged."""
    folder = save_tiny_backbone(tmp_path / "albert", "albert")
    lora_of_peft(AutoModel.from_pretrained(folder), tmp_path / "adapter", **VARIANTS["query and value"])
    with pytest.raises(FormatError, match="P513.*albert share their weights.*lora_rank = 0"):
        import_adapter(tmp_path / "adapter")
    nlp = build_pipeline(folder, corpus)
    with pytest.raises(FormatError, match="P513"):
        export_adapter(nlp, tmp_path / "out", "peft")
    assert not (tmp_path / "out").exists()


def test_linear_layers_that_also_read_positions(tmp_path, corpus):
    """DeBERTa v3 projects relative positions with those of queries and keys; PEFT adds LoRA to these as well."""
    folder = save_tiny_backbone(tmp_path / "deberta", "deberta-v2", deviation=0.15)
    base = AutoModel.from_pretrained(folder).eval()
    adapter = {"r": 2, "target_modules": ["query_proj"]}
    lora_of_peft(base, tmp_path / "adapter", **adapter)
    with pytest.raises(FormatError, match="P504.*relative positions in this backbone.*query_proj"):
        import_adapter(tmp_path / "adapter")
    model = lora_of_peft(AutoModel.from_pretrained(folder), tmp_path / "values", r=2, target_modules=["value_proj"])
    nlp = import_adapter(tmp_path / "values")
    ids, mask = pieces(folder)
    torch.testing.assert_close(states_here(nlp, ids, mask), states_there(model, ids, mask), **CLOSE)
    nlp = build_pipeline(folder, corpus, **LORA_ONLY)
    with pytest.warns(UserWarning, match="PW04.*LoRA that leaves relative positions alone"):
        export_adapter(nlp, tmp_path / "out", "peft")
