"""Wheels: what is in them, what they require, and that what they hold loads and predicts as before."""

import json
import shutil
import sys
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
import spacy
import srsly
import torch
from safetensors.torch import load_file, save_file
from spacy.cli import app
from typer.testing import CliRunner

import spacy_ptv2.cli  # noqa: F401  (which adds the commands to spaCy's)
from spacy_ptv2.backbones import registry
from spacy_ptv2.backbones.fingerprint import fingerprint_folder, identity_files
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.errors import BackboneError, PTuningError
from spacy_ptv2.packaging.backbone_wheels import package_backbone
from spacy_ptv2.packaging.builder import build_wheel, check_version
from spacy_ptv2.packaging.half import convert_to_float16
from spacy_ptv2.packaging.sample import describe
from spacy_ptv2.packaging.wheels import package_pipeline
from spacy_ptv2.pipeline.requirements import merge, record_requirements, without, without_implied
from spacy_ptv2.serialization.models import adapter_shims

from ..tiny import build_pipeline
from .conftest import unpack

OWN = "spacy-ptv2>=0.1.0,<0.2.0"
TEXT = "Peter Hansen works in New York ."


def requirements_of(site: Path) -> list[str]:
    (info,) = site.glob("*.dist-info")
    return PathDistribution(info).requires or []


def names(requirements: list[str]) -> list[str]:
    return sorted(requirement.split("<")[0].split(">")[0].split("=")[0] for requirement in requirements)


def load_installed(name: str, site: Path, monkeypatch: pytest.MonkeyPatch):
    """Load a package as in a process of its own."""
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(registry, "_shared", {})
    return spacy.load(name)


def backbone_of(nlp):
    (shim,) = adapter_shims(nlp.get_pipe("ptuning_transformer").model)
    return shim.backbone


def test_training_records_what_a_pipeline_requires(nlp):
    """So that plain `spacy package` writes it into the wheel."""
    assert nlp.meta["requirements"] == [OWN]


def test_a_newer_requirement_takes_the_place_of_an_older():
    assert merge(["torch>=2.1", "Some_Package==1"], ["torch>=2.6", "some-package==2"]) == [
        "torch>=2.6",
        "some-package==2",
    ]
    assert without(["torch>=2.1", "a_b==1"], ["A-B==2"]) == ["torch>=2.1"]
    assert merge(["git+https://x/y"], []) == ["git+https://x/y"]  # not for us to judge


def test_what_this_package_requires_is_not_repeated(nlp):
    """Not by the installed versions: a node that has what we ask for would download newer ones."""
    spacy_adds = ["huggingface_hub>=2.4.0,<2.5.0", "torch>=2.13", "openvino>=2026.4.0", "some-lib>=1.2.0,<1.3.0"]
    assert without_implied(spacy_adds, []) == ["openvino>=2026.4.0", "some-lib>=1.2.0,<1.3.0"]
    assert without_implied(spacy_adds, ["torch>=2.13"]) == spacy_adds[1:]  # a user's own


@pytest.mark.parametrize(
    ("present", "left"),
    [
        (["spacy-ptv2>=0.1.0,<0.2.0", "torch>=2.13", "transformers>=4.53,<6.0.0"], []),
        (["torch>=2.13", "mine==1"], ["torch>=2.13", "mine==1"]),  # a user's own
        (["torch>=2.13", "transformers>=4.53"], ["torch>=2.13", "transformers>=4.53"]),
    ],
)
def test_what_older_versions_recorded_goes(nlp, present, left):
    other = spacy.blank("en")
    other.meta["requirements"] = present
    record_requirements(other, [])
    assert sorted(other.meta["requirements"]) == sorted([OWN, *left])


def test_the_slim_wheel(wheel, pipeline, tmp_path, monkeypatch):
    site = unpack(wheel, tmp_path / "site")
    assert requirements_of(site) == [OWN.replace(">=0.1.0,<0.2.0", "<0.2.0,>=0.1.0")]
    package = site / "en_slim"
    assert {path.name for path in package.iterdir()} == {
        "__init__.py",
        "en_slim-1.0.0",
        "manifest.json",
        "meta.json",
        "sample.json",
    }
    assert json.loads((package / "sample.json").read_text())["predictions"]
    nlp = load_installed("en_slim", site, monkeypatch)
    assert describe(nlp(TEXT)) == describe(spacy.load(pipeline)(TEXT))
    assert nlp(TEXT).ents


def test_its_load_checks_first(unpacked, monkeypatch):
    (unpacked / "en_slim-1.0.0" / "tokenizer").write_bytes(b"")
    with pytest.raises(PTuningError, match="P602.*tokenizer"):
        load_installed("en_slim", unpacked.parent, monkeypatch)


def test_the_path_of_the_machine_is_not_shipped(tiny_folder, corpus, tmp_path):
    backbone = {"@misc": "spacy_ptv2.Backbone.v1", "name": "org/model", "path": str(tiny_folder)}
    build_pipeline(tiny_folder, corpus, backbone=backbone).to_disk(tmp_path / "trained")
    wheel = package_pipeline(tmp_path / "trained", tmp_path, name="moved", version="1.0.0")
    config = unpack(wheel, tmp_path / "site") / "en_moved" / "en_moved-1.0.0" / "config.cfg"
    assert str(tiny_folder) not in config.read_text()


def test_a_bundle_needs_nothing_else(tiny_folder, corpus, tmp_path, monkeypatch):
    """It finds the backbone in itself though the folder that it was trained with is gone."""
    gone = Path(shutil.copytree(tiny_folder, tmp_path / "gone"))
    (gone / "modeling.py").write_text("raise SystemExit")
    nlp = build_pipeline(gone, corpus)
    nlp.to_disk(tmp_path / "trained")
    wheel = package_pipeline(tmp_path / "trained", tmp_path, name="whole", version="1.0.0", bundle=True)
    expected, fingerprint = describe(nlp(TEXT)), fingerprint_folder(gone)
    shutil.rmtree(gone)
    site = unpack(wheel, tmp_path / "site")
    folder = site / "en_whole" / "backbone"
    assert {file.name for file in folder.iterdir()} == {f.name for f in identity_files(tiny_folder)} | {"backbone.json"}
    loaded = load_installed("en_whole", site, monkeypatch)
    assert backbone_of(loaded).path == folder
    assert backbone_of(loaded).fingerprint == fingerprint
    assert describe(loaded(TEXT)) == expected


def test_a_bundle_in_half_precision(pipeline, tiny_folder, tmp_path, monkeypatch):
    wheel = package_pipeline(pipeline, tmp_path, name="half", version="1.0.0", bundle=True, fp16=True)
    site = unpack(wheel, tmp_path / "site")
    folder = site / "en_half" / "backbone"
    stored = load_file(folder / "model.safetensors")
    assert {t.dtype for t in stored.values() if t.is_floating_point()} == {torch.float16}
    loaded = load_installed("en_half", site, monkeypatch)
    backbone = backbone_of(loaded)
    assert backbone.fingerprint == fingerprint_folder(folder) != fingerprint_folder(tiny_folder)
    assert backbone.model.dtype == torch.float32
    sample = json.loads((site / "en_half" / "sample.json").read_text())
    assert [describe(doc) for doc in loaded.pipe(sample["texts"])] == sample["predictions"]


def test_half_precision_is_refused_where_numbers_are_too_large(tiny_folder, tmp_path):
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "large"))
    weights = load_file(folder / "model.safetensors")
    weights["embeddings.LayerNorm.bias"][0] = 1e6
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BackboneError, match="P116.*embeddings.LayerNorm.bias.*too large"):
        convert_to_float16(folder)


def test_a_backbone_wheel_is_found_recorded_and_shared(tiny_folder, corpus, tmp_path, monkeypatch):
    model = Path(shutil.copytree(tiny_folder, tmp_path / "tiny-model"))
    wheel = package_backbone(str(model), tmp_path / "wheels", version="2.0")
    assert wheel.name == "ptv2_backbone_tiny_model-2.0-py3-none-any.whl"
    site = unpack(wheel, tmp_path / "site")
    about = json.loads((site / "ptv2_backbone_tiny_model" / "backbone" / "backbone.json").read_text())
    assert about == {"name": "tiny-model", "revision": None, "fingerprint": fingerprint_folder(tiny_folder)}
    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(registry, "_shared", {})
    nlp = build_pipeline(Path("tiny-model"), corpus)
    assert "ptv2-backbone-tiny-model==2.0" in nlp.meta["requirements"]
    nlp.to_disk(tmp_path / "trained")
    slim = package_pipeline(tmp_path / "trained", tmp_path / "wheels", name="needs", version="1.0.0")
    assert "ptv2-backbone-tiny-model==2.0" in requirements_of(unpack(slim, tmp_path / "site2"))
    assert package_backbone(str(model), tmp_path / "wheels", name="other-name").name.startswith("other_name-1.0.0")


def test_a_pipeline_finds_its_backbone_under_another_name(pipeline, tiny_folder, tmp_path, monkeypatch):
    """Trained with a folder, installed where a package has the same files: the fingerprint decides."""
    site = unpack(package_backbone(str(tiny_folder), tmp_path), tmp_path / "site")
    config = {"components.ptuning_transformer.model.backbone.name": "another/name"}
    monkeypatch.setattr(registry, "_shared", {})
    with pytest.raises(BackboneError, match="P101"):
        spacy.load(pipeline, config=config)
    monkeypatch.syspath_prepend(site)
    assert site in backbone_of(spacy.load(pipeline, config=config)).path.parents


@pytest.mark.parametrize("name", ["../x", "a/b", "a-b", "", "ä", "x y", "a.b"])
def test_names_that_are_no_modules_are_refused(pipeline, tmp_path, name):
    if name:
        with pytest.raises(PTuningError, match="P609.*name"):
            package_pipeline(pipeline, tmp_path, name=name, version="1.0.0")
    copied = Path(shutil.copytree(pipeline, tmp_path / "copied"))
    srsly.write_json(copied / "meta.json", {**srsly.read_json(copied / "meta.json"), "lang": name})
    with pytest.raises(PTuningError, match="P609.*language"):
        package_pipeline(copied, tmp_path, name="x", version="1.0.0")
    assert not list(tmp_path.glob("**/*.whl"))


@pytest.mark.parametrize("version", ["../1", "1/2", "", "one", None, "1.0.0-x y", "1..2"])
def test_versions_that_are_none_are_refused(version):
    with pytest.raises(PTuningError, match="P609.*version"):
        check_version(version)


def test_a_wheel_is_overwritten_only_by_request(pipeline, tiny_folder, tmp_path):
    """A slim wheel and a bundle of one version have one name."""
    wheel = package_pipeline(pipeline, tmp_path, name="once", version="1.0.0")
    before = wheel.read_bytes()
    with pytest.raises(PTuningError, match="P413.*once-1.0.0.*--force"):
        package_pipeline(pipeline, tmp_path, name="once", version="1.0.0", bundle=True)
    assert wheel.read_bytes() == before
    arguments = ["ptv2", "package", pipeline, tmp_path, "--name", "once", "--version", "1.0.0", "--bundle"]
    assert CliRunner().invoke(app, list(map(str, arguments))).exit_code == 1
    assert CliRunner().invoke(app, [*map(str, arguments), "--force"]).exit_code == 0
    assert wheel.stat().st_size > len(before)
    package_backbone(str(tiny_folder), tmp_path, name="once-more")
    with pytest.raises(PTuningError, match="P413.*once_more"):
        package_backbone(str(tiny_folder), tmp_path, name="once-more")
    package_backbone(str(tiny_folder), tmp_path, name="once-more", overwrite=True)


def test_links_in_a_pipeline_are_refused(pipeline, tmp_path):
    copied = Path(shutil.copytree(pipeline, tmp_path / "copied"))
    (copied / "link").symlink_to("/etc/hostname")
    with pytest.raises(PTuningError, match="P610.*link"):
        package_pipeline(copied, tmp_path, name="x", version="1.0.0")


def test_pipelines_without_a_prompt_and_half_without_bundle_are_refused(pipeline, tmp_path):
    spacy.blank("en").to_disk(tmp_path / "blank")
    with pytest.raises(PTuningError, match="P611.*spacy package"):
        package_pipeline(tmp_path / "blank", tmp_path, name="x", version="1.0.0")
    with pytest.raises(PTuningError, match="P612.*--bundle"):
        package_pipeline(pipeline, tmp_path, fp16=True)


def test_what_setuptools_says_is_passed_on(tmp_path):
    (tmp_path / "source" / "some").mkdir(parents=True)
    with pytest.raises(PTuningError, match="P608.*some.*version"):
        build_wheel(tmp_path / "source", "some", {"name": "some", "version": "no version"}, tmp_path)


def test_a_wheel_holds_no_code_but_its_init(wheel):
    with zipfile.ZipFile(wheel) as archive:
        assert [name for name in archive.namelist() if name.endswith(".py")] == ["en_slim/__init__.py"]


def test_the_header_keeps_what_was_recorded(pipeline, tmp_path):
    """A pipeline saved again on a machine that has the backbone as a folder still names the package."""
    nlp = spacy.load(pipeline)
    (shim,) = adapter_shims(nlp.get_pipe("ptuning_transformer").model)
    header = shim.header()
    header["backbone"].update(requirement="some-backbone==1.0", revision="0" * 40)
    shim.import_state({name: tensor.clone() for name, tensor in shim.export_state().items()}, header)
    saved = shim.header()["backbone"]
    assert (saved["requirement"], saved["revision"]) == ("some-backbone==1.0", "0" * 40)
    assert saved["path"] is None
    assert shim.source == BackboneSource(saved["name"])


def test_a_bundle_requires_no_package_for_its_backbone(tiny_folder, corpus, tmp_path, monkeypatch):
    """Not even in half precision, and with the user's own override in the environment while it is built."""
    site = unpack(package_backbone(str(tiny_folder), tmp_path, name="carried-model"), tmp_path / "site")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(registry, "_shared", {})
    nlp = build_pipeline(Path(tiny_folder.name), corpus)
    assert "carried-model==1.0.0" in nlp.meta["requirements"]
    nlp.to_disk(tmp_path / "trained")
    monkeypatch.setenv("SPACY_PTV2_BACKBONE", str(tiny_folder))
    for name, fp16 in (("full", False), ("halved", True)):
        wheel = package_pipeline(tmp_path / "trained", tmp_path, name=name, version="1.0.0", bundle=True, fp16=fp16)
        assert names(requirements_of(unpack(wheel, tmp_path / name))) == ["spacy-ptv2"]
