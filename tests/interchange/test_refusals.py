"""Files that are no prompts, prompts that do not fit, prompts that a format has no place for."""

import json

import pytest
import spacy
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from spacy_ptv2.cli import app
from spacy_ptv2.errors import FormatError, PTuningError
from spacy_ptv2.interchange.pipelines import export_adapter, import_adapter

from ..tiny import build_pipeline, save_tiny_backbone

PEFT = {"peft_type": "PREFIX_TUNING", "base_model_name_or_path": None}
ADAPTERS = {"name": "ner", "config": {"architecture": "prefix_tuning", "prefix_length": 5}}
ROWS = {"prompt_embeddings": torch.zeros(5, 3 * 2 * 32)}


ADAPTER_ROWS = {"prefix_tuning.prefix_tunings.ner.self_prefix.control_trans": torch.zeros(5 * 3 * 2 * 32)}


def save(folder, tensors, config=None):
    folder.mkdir(exist_ok=True)
    if config is not None:
        (folder / "adapter_config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    if tensors is not None:
        save_file(tensors, folder / "adapter_model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("tensors", "config", "message"),
    [
        (None, PEFT, "P501.*peft, thudm, adapters.*no safetensors.*docs/guides/interchange.md"),
        ({"lora_A.weight": torch.zeros(3)}, {"peft_type": "LORA"}, "P501.*no tensors of a prompt"),
        ({"other": torch.zeros(3)}, PEFT, "P501.*no tensors of a prompt"),
        ({"other": torch.zeros(3)}, ADAPTERS, "P501.*no tensors of a prompt"),
        (ROWS, "{", "P501.*not JSON"),
        (ROWS, "[" * 10**5, "P501.*not JSON.*nesting"),
        (ROWS, "[]", "P501.*a JSON object, got list"),
        ({"prompt_embeddings": torch.full((5, 3 * 2 * 32), torch.nan)}, PEFT, "P501.*no table of finite numbers"),
        ({"prompt_embeddings": torch.zeros(5)}, PEFT, "P501.*no table of finite numbers"),
        (ADAPTER_ROWS, {**ADAPTERS, "config": {**ADAPTERS["config"], "prefix_length": "x"}}, "P501.*TypeError"),
        (ADAPTER_ROWS, {**ADAPTERS, "config": {**ADAPTERS["config"], "leave_out": 3}}, "P501.*TypeError"),
        (ROWS, {**PEFT, "base_model_name_or_path": "a\0b"}, "P117"),
        (ROWS, {**PEFT, "num_transformer_submodules": 2}, "P504.*an encoder and a decoder"),
        (ROWS, {**ADAPTERS, "config": {**ADAPTERS["config"], "use_gating": True}}, "P504.*use_gating"),
        (ROWS, {**ADAPTERS, "config": {**ADAPTERS["config"], "non_linearity": "relu"}}, "P504.*MLP with relu"),
        (ROWS, PEFT, "P506.*--backbone"),
    ],
)
def test_unreadable(tmp_path, tensors, config, message):
    with pytest.raises(PTuningError, match=message):
        import_adapter(save(tmp_path / "there", tensors, config))


def test_damaged_file(tmp_path):
    file = save(tmp_path / "there", ROWS, PEFT) / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(FormatError, match="P501.*adapter_model.safetensors"):
        import_adapter(tmp_path / "there")


def test_pickle_is_never_read(tmp_path):
    folder = save(tmp_path / "there", None, PEFT)
    torch.save(ROWS, folder / "adapter_model.bin")
    with pytest.raises(FormatError, match=r"P502.*pickle \(adapter_model.bin\).*weights_only=True"):
        import_adapter(folder)


def test_another_width_or_depth(tmp_path, tiny_folder):
    folder = save(tmp_path / "there", {"prompt_embeddings": torch.zeros(5, 3 * 2 * 48)}, PEFT)
    with pytest.raises(FormatError, match=r"P503.*has 288 numbers per position, expected 192 .*\(3 layers x 2 x 32\)"):
        import_adapter(folder, str(tiny_folder))


def test_another_width_on_the_command_line(tmp_path, tiny_folder):
    folder = save(tmp_path / "there", {"prompt_embeddings": torch.zeros(5, 7)}, PEFT)
    arguments = ["import", str(folder), str(tmp_path / "out"), "--backbone", str(tiny_folder)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1 and "P503" in result.output and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("prompt", "format_name", "message"),
    [
        ({"length": [4, 4, 2]}, "peft", r"P505.*'peft'.*one length for all layers.*\(4, 4, 2\)"),
        ({"length": [4, 4, 2]}, "adapters", "P505.*'adapters'.*one length"),
        ({"length": 4, "layers": [0, 2]}, "peft", r"P505.*each of the 3 layers.*layers \(0, 2\)"),
        ({"length": 4, "layers": [0, 2]}, "thudm", "P505.*'thudm'.*each of the 3 layers"),
        ({"length": 4}, "lora", "P508.*peft, thudm, adapters.*'lora'"),
    ],
)
def test_no_place_in_a_format(tiny_folder, corpus, tmp_path, prompt, format_name, message):
    nlp = build_pipeline(tiny_folder, corpus, prompt={**prompt})
    with pytest.raises(FormatError, match=message):
        export_adapter(nlp, tmp_path, format_name)
    assert list(tmp_path.iterdir()) == []


def test_which_component(tmp_path):
    with pytest.raises(FormatError, match="P507.*got none of the pipeline's components sentencizer"):
        nlp = spacy.blank("en")
        nlp.add_pipe("sentencizer")
        export_adapter(nlp, tmp_path, "peft")


def test_narrow_keys_go_both_ways(tmp_path, corpus):
    """A model whose keys are narrower than its states: two heads for keys, four for queries."""
    folder = save_tiny_backbone(tmp_path / "llama", "llama", max_position_embeddings=256)
    plain = {"lora_rank": 0, "scalar_mix": False, "word_shape": False}
    nlp = build_pipeline(folder, corpus, **plain, prompt={"shift_positions": True})
    export_adapter(nlp, tmp_path / "foreign", "peft")
    config = json.loads((tmp_path / "foreign" / "adapter_config.json").read_text())
    assert (config["token_dim"], config["num_attention_heads"]) == (16, 2)
    again = import_adapter(tmp_path / "foreign", str(folder))
    assert (again("john works").tensor == nlp("john works").tensor).all()
