"""Nothing is read but what the fingerprint covers, and files that describe no model are refused by name."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from spacy_ptv2.backbones import registry
from spacy_ptv2.backbones.fingerprint import fingerprint_folder, identity_files
from spacy_ptv2.backbones.lookup import find_backbone
from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.sealing import sealed
from spacy_ptv2.backbones.source import BackboneSource, Recorded
from spacy_ptv2.errors import BackboneError

from ..tiny import save_tiny_backbone

TEXT = "Peter Hansen works in New York ."


@pytest.fixture(autouse=True)
def empty_registry(monkeypatch):
    monkeypatch.setattr(registry, "_shared", type(registry._shared)())


@pytest.fixture
def copied(tiny_folder, tmp_path):
    return Path(shutil.copytree(tiny_folder, tmp_path / "copy"))


def change(file, **settings):
    """Change settings of a JSON file, and leave out those that are None."""
    content = {**json.loads(file.read_text()), **settings}
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def read(folder):
    backbone = get_backbone(BackboneSource(str(folder)))
    ids = backbone.tokenizer(TEXT)["input_ids"]
    with torch.inference_mode():
        return ids, backbone.model(input_ids=torch.tensor([ids])).last_hidden_state


def assert_reads_the_same(folder, expected):
    ids, states = read(folder)
    assert ids == expected[0]
    assert torch.equal(states, expected[1])


def add_decoys(folder, other):
    """Files that transformers honours where it finds them, none of them in the fingerprint."""
    (folder / "chat_template.jinja").write_text("{{ 1 / 0 }}")
    (folder / "generation_config.json").write_text("[")
    (folder / "modeling_evil.py").write_text("raise SystemExit")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(other / name, folder / name.replace(".json", ".4.0.0.json"))
    (folder / "onnx").mkdir()
    shutil.copyfile(other / "model.safetensors", folder / "onnx" / "model.safetensors")


def test_only_what_the_fingerprint_covers_is_read(tiny_folder, copied, roberta_folder, monkeypatch):
    """Whatever lies beside it, and whatever its settings point at."""
    expected = read(tiny_folder)
    fingerprint = fingerprint_folder(copied)
    add_decoys(copied, roberta_folder)
    assert fingerprint_folder(copied) == fingerprint
    opened = []
    original = open
    monkeypatch.setattr(
        "builtins.open", lambda file, *rest, **more: opened.append(file) or original(file, *rest, **more)
    )
    registry._shared.clear()
    assert_reads_the_same(copied, expected)
    covered = {file.name for file in identity_files(copied)}
    inside = [Path(file) for file in opened if str(copied) in str(file) or "sealed" in str(file)]
    assert inside
    assert {file.name for file in inside} <= covered


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("config.json", {"configuration_files": ["config.4.0.0.json"]}),
        ("config.json", {"auto_map": {"AutoConfig": "modeling_evil.Config", "AutoModel": "modeling_evil.Model"}}),
        ("config.json", {"_name_or_path": "org/other", "attn_implementation": "org/kernel"}),
        ("config.json", {"torch_dtype": "float31", "dtype": "nonsense"}),
        ("tokenizer_config.json", {"fast_tokenizer_files": ["tokenizer.4.0.0.json"]}),
        ("tokenizer_config.json", {"tokenizer_file": "OTHER/tokenizer.json", "vocab_file": "OTHER/vocab.json"}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["modeling_evil.Tokenizer", None]}}),
    ],
)
def test_settings_do_not_lead_out_of_the_folder(tiny_folder, copied, roberta_folder, name, settings):
    expected = read(tiny_folder)
    add_decoys(copied, roberta_folder)
    settings = json.loads(json.dumps(settings).replace("OTHER", str(roberta_folder)))
    change(copied / name, **settings)
    assert_reads_the_same(copied, expected)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.bin", "adapter_model.safetensors"])
def test_adapters_are_refused(tiny_folder, copied, name):
    """With peft installed transformers would put them into the model, from a pickle too."""
    recorded = Recorded(fingerprint_folder(copied))
    (copied / name).write_text('{"peft_type": "LORA"}')
    for known in (None, recorded):
        with pytest.raises(BackboneError, match=f"P119.*{name}.*merge_and_unload"):
            get_backbone(BackboneSource(str(copied)), known)


def shard(folder, **weight_map):
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    save_file(tensors, folder / "model-00001-of-00001.safetensors", metadata={"format": "pt"})
    content = {"metadata": {}, "weight_map": dict.fromkeys(tensors, "model-00001-of-00001.safetensors") | weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(content))


def test_shards_are_read_from_the_folder_alone(tiny_folder, copied, tmp_path):
    expected = read(tiny_folder)
    stray = save_tiny_backbone(tmp_path / "stray", "bert", seed=1) / "model.safetensors"
    shard(copied)
    assert_reads_the_same(copied, expected)
    for place in (str(stray), "../stray/model.safetensors", 3):
        change(copied / "model.safetensors.index.json", weight_map={"embeddings.LayerNorm.bias": place})
        with pytest.raises(BackboneError, match=r"P118.*index.json names"):
            get_backbone(BackboneSource(str(copied)))
    change(copied / "model.safetensors.index.json", weight_map=None)
    with pytest.raises(BackboneError, match="P118.*no weight_map"):
        get_backbone(BackboneSource(str(copied)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model_type": None}, "P120.*model_type is None, expected the name of an architecture"),
        ({"model_type": 3}, "P120.*model_type is 3"),
        ({"num_hidden_layers": 10**6}, "P120.*num_hidden_layers is 1000000, expected at most 512"),
        ({"num_hidden_layers": 0}, "P120.*no layers"),
        ({"max_position_embeddings": 10**12}, "P120.*max_position_embeddings"),
        ({"vocab_size": 10**9}, r"P121.*a model of 32,000,0\d\d,\d+ parameters, but the weights next to it have"),
        ({"intermediate_size": 10**8}, "P121.*describes a model of"),
        ({"vocab_size": 0}, "P108|P121|P122"),
        ({"hidden_size": "x"}, "(?s)P108.*TypeError"),
        ({"layer_norm_eps": "x"}, "P108"),
        ({"hidden_act": "nothing"}, "P108.*nothing"),
        ({"num_attention_heads": 0}, "P108.*ZeroDivisionError"),
    ],
)
def test_configs_of_no_model_are_refused(copied, settings, message):
    change(copied / "config.json", **settings)
    with pytest.raises(BackboneError, match=message):
        get_backbone(BackboneSource(str(copied)))


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"\xff", b"[" * 10**6, b'{"a":' * 10**5, b'{"a": NaN}', b'{"a": "\\ud800"}', b"\0" * 9]
)
@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_documents_that_are_none_are_refused(copied, name, content):
    (copied / name).write_bytes(content)
    with pytest.raises(BackboneError, match=f"P108.*{name}"):
        get_backbone(BackboneSource(str(copied)))


def test_weights_that_are_no_numbers_are_refused(copied):
    weights = load_file(copied / "model.safetensors")
    weights["encoder.layer.0.attention.self.query.weight"][0, 0] = torch.nan
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BackboneError, match="P122.*self.query.weight holds NaN"):
        get_backbone(BackboneSource(str(copied)))


def test_a_tokenizer_of_more_pieces_than_embeddings_is_refused(copied):
    content = json.loads((copied / "tokenizer.json").read_text())
    content["model"]["vocab"]["beyond"] = 5000
    (copied / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(BackboneError, match=r"P122.*a piece 5000 and the model \d+ embeddings"):
        get_backbone(BackboneSource(str(copied)))


def test_a_tokenizer_of_no_pieces_is_refused(copied):
    content = json.loads((copied / "tokenizer.json").read_text())
    content["normalizer"] = {"type": "Replace", "pattern": {"Regex": "."}, "content": ""}
    (copied / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(BackboneError, match="P122.*no piece of 'a'"):
        get_backbone(BackboneSource(str(copied)))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_links_in_a_circle_are_missing_files(copied, name):
    (copied / name).unlink()
    (copied / name).symlink_to(copied / name)
    with pytest.raises(BackboneError, match="P10[28]|P113"):
        get_backbone(BackboneSource(str(copied)))


@pytest.mark.parametrize("field", ["name", "path", "revision"])
@pytest.mark.parametrize("text", ["a\0b", "a\ud800", "", "x" * 5000, 3])
def test_names_that_cannot_be_are_refused(field, text):
    with pytest.raises(BackboneError, match=f"P117.*{field} of a backbone"):
        BackboneSource(**{"name": "x", field: text})


def test_names_that_no_folder_has_are_not_found():
    for name in ("x" * 300, "~nobody-of-this-name/x", "/" + "x/" * 1000, "..", "a//b"):
        with pytest.raises(BackboneError, match="P10[12]"):
            find_backbone(BackboneSource(name))


def test_the_sealed_folder_goes(tiny_folder, monkeypatch):
    """Also where links are not allowed."""
    monkeypatch.setattr(Path, "symlink_to", lambda self, target: (_ for _ in ()).throw(OSError("not allowed")))
    with sealed(tiny_folder) as folder:
        assert (folder / "model.safetensors").read_bytes() == (tiny_folder / "model.safetensors").read_bytes()
    assert not folder.exists()
