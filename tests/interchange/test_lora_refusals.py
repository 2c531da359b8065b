"""LoRA that cannot be represented, does not fit, or is more than one: what each message says."""

import json
from contextlib import nullcontext

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModel
from typer.testing import CliRunner

from spacy_ptv2.cli import app
from spacy_ptv2.errors import FormatError
from spacy_ptv2.interchange.pipelines import import_adapter

from ..tiny import save_tiny_backbone

CONFIG = {"peft_type": "LORA", "r": 2, "lora_alpha": 2, "base_model_name_or_path": None}
QUERY = "encoder.layer.1.attention.self.query"
PREFIX = {"peft_type": "PREFIX_TUNING", "base_model_name_or_path": None}
ROWS = {"prompt_embeddings": torch.zeros(5, 3 * 2 * 32)}


def pair(module, rank=2, n_in=32, n_out=32):
    """The two matrices of a module, as PEFT names them."""
    start = f"base_model.model.{module}"
    return {f"{start}.lora_A.weight": torch.ones(rank, n_in), f"{start}.lora_B.weight": torch.ones(n_out, rank)}


def save(folder, tensors, config=CONFIG):
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"use_dora": True}, "P504.*uses use_dora = True.*Train and save it there without"),
        ({"bias": "all"}, "P504.*bias = 'all'"),
        ({"bias": "lora_only", "lora_bias": True}, "P504.*lora_bias = True, bias = 'lora_only'"),
        ({"init_lora_weights": "pissa_niter_4"}, "P504.*init_lora_weights = 'pissa_niter_4'"),
        ({"layer_replication": [[0, 2]]}, "P504.*layer_replication"),
        ({"alpha_pattern": {"(a+)+$": 3}}, r"P504.*the regular expression '\(a\+\)\+\$'"),
        ({"r": 3}, r"P501.*r = 3, and .*query has the rank 2"),
        ({"r": 3, "rank_pattern": {QUERY: 2}}, None),
        ({"lora_alpha": "many"}, "P501.*ValueError"),
        ({"lora_alpha": None}, "P501.*TypeError"),
        ({"lora_alpha": 1e39}, "P501.*not finite"),
        ({"base_model_name_or_path": None}, None),
    ],
)
def test_settings(tmp_path, tiny_folder, settings, message):
    folder = save(tmp_path / "there", pair(QUERY), {**CONFIG, **settings})
    with nullcontext() if message is None else pytest.raises(FormatError, match=message):
        import_adapter(folder, str(tiny_folder))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (
            pair("embeddings.dense"),
            r"P509.*on embeddings.dense\. .*encoder.layer.0.attention.self.query.*--backbone",
        ),
        ({**pair(QUERY), **pair("embeddings.dense")}, r"P509.*on embeddings.dense\. "),
        (pair("encoder.layer.7.attention.self.query"), "P509.*layer.7"),
        ({**pair(f"a.{QUERY}"), **pair(f"b.{QUERY}")}, r"P504.*several models \(a\., b\.\)"),
        (
            {**pair(QUERY), "base_model.model.embeddings.word_embeddings.weight": torch.zeros(3, 3)},
            "P504.*no LoRA: embeddings.word_embeddings.weight",
        ),
        (
            {**pair(f"bert.{QUERY}"), "base_model.model.bert.embeddings.word_embeddings.lora_embedding_A": ROWS},
            "P504.*no LoRA: bert.embeddings.word_embeddings.lora_embedding_A",
        ),
        ({**pair(QUERY), f"base_model.model.{QUERY}.lora_B.bias": torch.zeros(32)}, "P504.*query.lora_B.bias"),
        (pair(QUERY, n_in=16), r"P510.*query in .* widths \(16, 32\), expected \(32, 32\).*--backbone"),
        (pair(QUERY, n_out=16), r"P510.*widths \(32, 16\), expected \(32, 32\)"),
        (pair(QUERY, rank=0), "P501.*do not fit each other"),
        ({**pair(QUERY), **{f"base_model.model.{QUERY}.lora_A.weight": torch.ones(2)}}, "P501.*do not fit each other"),
        ({"base_model.model.x.weight": torch.zeros(2)}, r"P501.*no tensors.*its peft_type is 'LORA'"),
    ],
)
def test_tensors(tmp_path, tiny_folder, tensors, message):
    tensors = {name: torch.zeros(2) if isinstance(tensor, dict) else tensor for name, tensor in tensors.items()}
    with pytest.raises(FormatError, match=message):
        import_adapter(save(tmp_path / "there", tensors), str(tiny_folder))


def test_other_adapters_of_peft(tmp_path, tiny_folder):
    folder = save(tmp_path / "there", pair(QUERY), {"peft_type": "ADALORA"})
    with pytest.raises(FormatError, match="P501.*its peft_type is 'ADALORA'"):
        import_adapter(folder, str(tiny_folder))


def test_projections_of_embeddings(tmp_path):
    """ELECTRA's stands before its layers; "all-linear" in PEFT includes it."""
    peft = pytest.importorskip("peft")
    folder = save_tiny_backbone(tmp_path / "electra", "electra")
    config = peft.LoraConfig(task_type="FEATURE_EXTRACTION", target_modules="all-linear")
    peft.get_peft_model(AutoModel.from_pretrained(folder), config).save_pretrained(tmp_path / "adapter")
    with pytest.raises(FormatError, match="P509.*on embeddings_project"):
        import_adapter(tmp_path / "adapter")


def test_more_than_one_of_a_kind(tmp_path, tiny_folder):
    lora, prompt = save(tmp_path / "lora", pair(QUERY)), save(tmp_path / "prompt", ROWS, PREFIX)
    with pytest.raises(FormatError, match="P511.*got 0 prompts and 2 LoRA"):
        import_adapter([lora, lora], str(tiny_folder))
    with pytest.raises(FormatError, match="P511.*got 2 prompts and 1 LoRA"):
        import_adapter([prompt, lora, prompt], str(tiny_folder))
    result = CliRunner().invoke(app, ["import", *map(str, (lora, lora, tmp_path / "out"))])
    assert result.exit_code == 1 and "P511" in result.output and not (tmp_path / "out").exists()


def test_which_backbone(tmp_path, tiny_folder):
    name = str(tiny_folder)
    lora = save(tmp_path / "lora", pair(QUERY), {**CONFIG, "base_model_name_or_path": name})
    prompt = save(tmp_path / "prompt", ROWS, {**PREFIX, "base_model_name_or_path": "bert-base-uncased"})
    with pytest.raises(FormatError, match="P512.*--backbone"):
        import_adapter([lora, prompt])
    import_adapter([lora, prompt], name)
    prompt = save(tmp_path / "prompt", ROWS, PREFIX)
    import_adapter([prompt, lora])
    with pytest.raises(FormatError, match="P506.*--backbone"):
        import_adapter([prompt, save(tmp_path / "lora", pair(QUERY))])
