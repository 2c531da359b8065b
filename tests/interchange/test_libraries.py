"""Prompts of other libraries, over the same tiny models in one process: the same hidden states there and here."""

import numpy as np
import pytest
import spacy
import torch
import transformers
from safetensors.torch import load_file, save_file
from spacy.training import Corpus
from transformers import AutoModel

from spacy_ptv2.errors import FormatError, PTuningError
from spacy_ptv2.interchange.pipelines import export_adapter, import_adapter

from ..tiny import build_pipeline, train
from .states import TEXT, pieces, run, shim_of, states_here, states_there

LENGTH = 5
PLAIN = {"lora_rank": 0, "scalar_mix": False, "word_shape": False}
SHIFTED = {"length": 4, "shift_positions": True}


@pytest.mark.parametrize("mlp", [False, True])
class TestPeft:
    @pytest.fixture
    def adapter(self, base, mlp, tmp_path):
        peft = pytest.importorskip("peft")
        torch.manual_seed(0)
        config = peft.PrefixTuningConfig(
            task_type="FEATURE_EXTRACTION", num_virtual_tokens=LENGTH, prefix_projection=mlp, encoder_hidden_size=7
        )
        model = peft.get_peft_model(base, config).eval()
        with torch.no_grad():  # far from a start near zero, as after training
            for parameter in model.prompt_encoder.parameters():
                parameter.normal_()
        model.save_pretrained(tmp_path / "adapter")
        return model, tmp_path / "adapter"

    def test_imported_gives_the_same_states(self, adapter, folder, mlp):
        model, saved = adapter
        nlp = import_adapter(saved, str(folder))
        assert shim_of(nlp).encoder.shift_positions
        ids, mask = pieces(folder)
        torch.testing.assert_close(states_here(nlp, ids, mask), states_there(model, ids, mask), atol=1e-5, rtol=0)

    def test_the_model_may_be_named_by_the_adapter(self, adapter, folder, mlp):
        assert shim_of(import_adapter(adapter[1])).source.name == str(folder)

    def test_state_dict_of_the_prefix_encoder(self, adapter, folder, mlp, tmp_path):
        """Before PEFT has folded its MLP: what a training checkpoint of the whole model holds."""
        model, saved = adapter
        state = {f"prompt_encoder.default.{name}": t for name, t in model.prompt_encoder.default.state_dict().items()}
        assert any("transform" in name for name in state) == mlp
        save_file(state, saved / "adapter_model.safetensors")
        ids, mask = pieces(folder)
        expected = states_there(model, ids, mask)
        torch.testing.assert_close(
            states_here(import_adapter(saved, str(folder)), ids, mask), expected, atol=1e-5, rtol=0
        )

    def test_exported_gives_peft_the_same_states(self, adapter, folder, mlp, tmp_path):
        import peft

        model, saved = adapter
        nlp = import_adapter(saved, str(folder))
        export_adapter(nlp, tmp_path / "back", "peft")
        again = peft.PeftModel.from_pretrained(AutoModel.from_pretrained(folder), tmp_path / "back").eval()
        ids, mask = pieces(folder)
        torch.testing.assert_close(states_there(again, ids, mask), states_there(model, ids, mask), atol=1e-5, rtol=0)
        torch.testing.assert_close(states_there(again, ids, mask), states_here(nlp, ids, mask), atol=1e-5, rtol=0)


@pytest.mark.parametrize("mlp", [False, True])
def test_thudm_checkpoints(folder, base, mlp, tmp_path):
    """Its `get_prompt`, step by step, and its call of the model, in the cache that transformers wants by now."""
    torch.manual_seed(0)
    n_layers, width, heads = 3, 32, 4
    prefix_encoder = torch.nn.Module()
    if mlp:
        prefix_encoder.embedding = torch.nn.Embedding(LENGTH, width)
        prefix_encoder.trans = torch.nn.Sequential(
            torch.nn.Linear(width, 7), torch.nn.Tanh(), torch.nn.Linear(7, n_layers * 2 * width)
        )
    else:
        prefix_encoder.embedding = torch.nn.Embedding(LENGTH, n_layers * 2 * width)
    state = {f"prefix_encoder.{name}": tensor for name, tensor in prefix_encoder.state_dict().items()}
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    save_file({**state, "classifier.weight": torch.zeros(3, width)}, checkpoint / "model.safetensors")

    nlp = import_adapter(checkpoint, str(folder))
    ids, mask = pieces(folder)
    got = states_here(nlp, ids, mask)

    rows = prefix_encoder.embedding(torch.arange(LENGTH).expand(2, -1))
    rows = prefix_encoder.trans(rows) if mlp else rows
    past = rows.view(2, LENGTH, n_layers * 2, heads, width // heads).permute(2, 0, 3, 1, 4).split(2)
    cache = transformers.DynamicCache()
    for layer, (keys, values) in enumerate(past):
        cache.update(keys, values, layer)
    whole = torch.cat([torch.ones(2, LENGTH, dtype=mask.dtype), mask], dim=1)
    with torch.no_grad():
        output = base(input_ids=ids, attention_mask=whole, past_key_values=cache).last_hidden_state
    torch.testing.assert_close(got, output[mask.bool()], atol=1e-5, rtol=0)

    export_adapter(nlp, tmp_path / "back", "thudm")
    (rows_back,) = load_file(tmp_path / "back" / "model.safetensors").values()
    torch.testing.assert_close(rows_back, rows[0])


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("leave_out", [[], [1]])
def test_adapters(folder, base, flat, leave_out, tmp_path):
    """Runs where adapters is installed (it needs a transformers of its own); see docs/guides/interchange.md."""
    adapters = pytest.importorskip("adapters")
    torch.manual_seed(0)
    adapters.init(base)
    settings = {"flat": flat, "prefix_length": LENGTH, "bottleneck_size": 7, "leave_out": leave_out}
    base.add_adapter("ner", config=adapters.PrefixTuningConfig(**settings))
    base.set_active_adapters("ner")
    base.eval()
    base.save_adapter(tmp_path / "adapter", "ner")
    with pytest.raises(FormatError, match="P502.*pytorch_adapter.bin.*weights_only=True"):
        import_adapter(tmp_path / "adapter", str(folder))
    tensors = torch.load(tmp_path / "adapter" / "pytorch_adapter.bin", weights_only=True)
    kept = {name: tensor for name, tensor in tensors.items() if name.startswith("prefix_tuning.")}
    save_file(kept, tmp_path / "adapter" / "adapter.safetensors")

    nlp = import_adapter(tmp_path / "adapter", str(folder))
    assert not shim_of(nlp).encoder.shift_positions
    ids, mask = pieces(folder)
    expected = states_there(base, ids, mask)
    torch.testing.assert_close(states_here(nlp, ids, mask), expected, atol=1e-5, rtol=0)

    export_adapter(nlp, tmp_path / "back", "adapters")
    again = AutoModel.from_pretrained(folder)
    adapters.init(again)
    again.set_active_adapters(again.load_adapter(str(tmp_path / "back"), use_safetensors=True))
    torch.testing.assert_close(states_there(again.eval(), ids, mask), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("format_name", ["peft", "thudm", "adapters"])
def test_commands_there_and_back(long_folder, corpus, tmp_path, format_name):
    """From a trained pipeline through another library's files: the same vectors."""
    prompt = {**SHIFTED, "shift_positions": format_name != "adapters"}
    nlp = build_pipeline(long_folder, corpus, **PLAIN, prompt=prompt)
    train(nlp, corpus, steps=5)
    nlp.to_disk(tmp_path / "pipeline")
    out = run("export", tmp_path / "pipeline", tmp_path / "foreign", "--format", format_name)
    assert f"4 positions in 3 layers, as {format_name} reads it" in out and "Left out" not in out
    out = run("import", tmp_path / "foreign", tmp_path / "again", "--backbone", long_folder)
    assert "4 positions in 3 layers over" in out and f'source = "{tmp_path / "again"}"' in out
    again = spacy.load(tmp_path / "again")
    assert again.pipe_names == ["transformer"]
    np.testing.assert_array_equal(again(TEXT).tensor, nlp(TEXT).tensor)


def test_what_is_left_out_is_said(nlp, tmp_path):
    with pytest.warns(
        UserWarning, match="PW04.*'peft'.*place for it: scalar_mix, word_shape, positions that start at 0"
    ):
        export_adapter(nlp, tmp_path / "peft", "peft")
    with pytest.warns(UserWarning, match="PW04.*'thudm'.*place for it: lora, scalar_mix, word_shape, positions that"):
        export_adapter(nlp, tmp_path / "thudm", "thudm")
    nlp.to_disk(tmp_path / "pipeline")
    assert "PW04" in run("export", tmp_path / "pipeline", tmp_path / "out")


def test_an_imported_prompt_trains_on(long_folder, corpus, tmp_path):
    """Sourced into another pipeline, with a fresh head."""
    export_adapter(build_pipeline(long_folder, corpus, **PLAIN, prompt=SHIFTED), tmp_path / "foreign", "thudm")
    imported = import_adapter(tmp_path / "foreign", str(long_folder))
    before = shim_of(imported).encoder.prompt.values.clone()
    target = spacy.blank("en")
    target.add_pipe("transformer", source=imported)
    target.add_pipe("token_classifier")
    with target.select_pipes(disable=["transformer"]):  # as `spacy train` does with what is sourced
        target.initialize(lambda: Corpus(corpus)(target))
    assert torch.equal(shim_of(target).encoder.prompt.values, before)
    losses = train(target, corpus, steps=40)
    assert losses[-1]["token_classifier"] < losses[0]["token_classifier"] / 2
    assert not torch.equal(shim_of(target).encoder.prompt.values, before)


@pytest.mark.parametrize("length", [20, 50, 60])
def test_long_prompts_leave_short_windows(folder, tmp_path, length):
    """Of 64 positions; the windows that other libraries read are as long as what the prompt leaves."""
    save_file({"prefix_encoder.embedding.weight": torch.randn(length, 3 * 2 * 32)}, tmp_path / "model.safetensors")
    nlp = import_adapter(tmp_path, str(folder))
    doc = nlp("peter works in a garden at paris " * 20)
    assert doc.tensor.shape == (len(doc), 32) and np.isfinite(doc.tensor).all()
    nlp.to_disk(tmp_path / "pipeline")
    np.testing.assert_array_equal(spacy.load(tmp_path / "pipeline")(doc.text).tensor, doc.tensor)


def test_prompts_that_leave_no_room_for_text_are_refused(folder, tmp_path):
    save_file({"prefix_encoder.embedding.weight": torch.randn(63, 3 * 2 * 32)}, tmp_path / "model.safetensors")
    with pytest.raises(PTuningError, match="P212.*63 leaves [12] of the backbone's 6[45]"):
        import_adapter(tmp_path, str(folder))


def test_an_imported_prompt_drops_as_its_config_says(folder, tmp_path):
    save_file({"prefix_encoder.embedding.weight": torch.randn(4, 3 * 2 * 32)}, tmp_path / "model.safetensors")
    nlp = import_adapter(tmp_path, str(folder))
    settings = nlp.config["components"]["transformer"]["model"]["adapter"]["prompt"]
    assert shim_of(nlp).encoder.prompt.dropout.p == settings["dropout"] > 0.0
