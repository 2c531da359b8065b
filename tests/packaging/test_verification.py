"""`spacy ptv2 verify` and `info`: every kind of damage is found, and what cannot be known is said."""

import json
import re
import shutil
from pathlib import Path

import spacy
from typer.testing import CliRunner

from spacy_ptv2.backbones import hash_cache, registry
from spacy_ptv2.cli import app
from spacy_ptv2.packaging.manifest import write_manifest
from spacy_ptv2.packaging.summary import summarize
from spacy_ptv2.packaging.verification import verify

from ..tiny import build_pipeline, save_tiny_backbone
from .conftest import unpack


def outcomes(pipeline):
    return {check.what: check.outcome for check in verify(str(pipeline))}


def command(*arguments):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    return result.exit_code, " ".join(re.sub(r"\x1b\[[0-9;]*m", "", result.output).split())


ALL_PASSED = {
    "manifest": "passed",
    "installed files": "not checked",
    "trained tensors": "passed",
    "loading": "passed",
    "backbone": "passed",
    "sample": "passed",
}


def test_an_untouched_package(unpacked):
    assert outcomes(unpacked) == ALL_PASSED


def test_an_installed_package_is_checked_against_its_record(wheel, tmp_path, monkeypatch):
    site = unpack(wheel, tmp_path / "site")
    monkeypatch.syspath_prepend(site)
    assert outcomes("en_slim") == {**ALL_PASSED, "installed files": "passed"}
    (site / "en_slim" / "__init__.py").write_text("def load(): pass")
    assert outcomes("en_slim")["installed files"] == "failed"


def test_a_plain_folder_says_what_it_cannot_know(pipeline):
    assert outcomes(pipeline) == {**ALL_PASSED, "manifest": "not checked", "sample": "not checked"}


def test_damaged_files(unpacked):
    file = unpacked / "en_slim-1.0.0" / "ptuning_transformer" / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    found = outcomes(unpacked)
    assert (found["manifest"], found["trained tensors"], found["loading"]) == ("failed",) * 3
    assert "sample" not in found


def test_other_predictions(unpacked):
    path = unpacked / "sample.json"
    sample = json.loads(path.read_text())
    sample["predictions"][0]["ents"] = [[0, 1, "X"]]
    path.write_text(json.dumps(sample))
    write_manifest(unpacked)
    assert outcomes(unpacked) == {**ALL_PASSED, "sample": "failed"}
    code, output = command("verify", unpacked)
    assert code == 1
    assert "sample: failed other predictions for 1 texts" in output
    assert "failed: sample" in output


def test_other_predictions_in_another_precision(unpacked):
    path = unpacked / "sample.json"
    sample = json.loads(path.read_text())
    assert sample["precisions"] == ["float32"]
    path.write_text(json.dumps({**sample, "precisions": ["bfloat16"]}))
    write_manifest(unpacked)
    assert outcomes(unpacked) == ALL_PASSED
    sample["predictions"][0]["ents"] = [[0, 1, "X"]]
    path.write_text(json.dumps({**sample, "precisions": ["bfloat16"]}))
    write_manifest(unpacked)
    assert outcomes(unpacked) == {**ALL_PASSED, "sample": "not checked"}
    code, output = command("verify", unpacked)
    assert code == 0
    assert "made in bfloat16, this machine computes in float32" in output


def test_a_backbone_that_changed_behind_the_cache(tiny_folder, corpus, tmp_path, monkeypatch):
    """The cache of hashes is believed while loading and not by `verify`."""
    monkeypatch.setattr(hash_cache, "_cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(hash_cache, "WORTH_KEEPING", 1)
    monkeypatch.setattr(hash_cache, "SETTLED_AFTER_NS", -1)
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "backbone"))
    build_pipeline(folder, corpus).to_disk(tmp_path / "trained")
    monkeypatch.setattr(registry, "_shared", {})
    known = {json.loads(entry.read_text())["path"]: entry for entry in (tmp_path / "cache").iterdir()}
    weights = folder / "model.safetensors"
    old = known[str(weights.resolve())].read_text()
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    entry = {**hash_cache._state(weights), "sha256": json.loads(old)["sha256"]}
    known[str(weights.resolve())].write_text(json.dumps(entry))
    found = outcomes(tmp_path / "trained")
    assert (found["loading"], found["backbone"]) == ("passed", "failed")


def test_another_backbone_that_was_let_in(pipeline, tmp_path, monkeypatch):
    copied = Path(shutil.copytree(pipeline, tmp_path / "copied"))
    other = save_tiny_backbone(tmp_path / "other", "bert", seed=1)
    config = (copied / "config.cfg").read_text()
    config = config.replace("path = null", f'path = "{other}"').replace('verify = "strict"', 'verify = "off"')
    (copied / "config.cfg").write_text(config)
    assert outcomes(copied)["backbone"] == "failed"


def test_neither_folder_nor_package():
    code, output = command("verify", "no_such_package")
    assert code == 1
    assert "[P613]" in output


def test_verify_prints_what_it_could_not_check(pipeline):
    code, output = command("verify", pipeline)
    assert code == 0
    assert "manifest: not checked there is no manifest.json" in output
    assert "nothing wrong was found" in output


def test_info(pipeline, tiny_folder):
    summary = summarize(spacy.load(pipeline))
    parts = {component.name: component.parts for component in summary.components}
    assert parts["ptuning_transformer"]["prompt"] == 3 * 2 * 4 * 32
    assert set(parts["token_classifier"]) == {"head"}
    (backbone,) = summary.backbones
    assert backbone.name == str(tiny_folder)
    code, output = command("info", pipeline)
    assert code == 0
    assert backbone.fingerprint in output
    assert f"{backbone.n_parameters:,}" in output
    assert "spacy-ptv2>=" in output


def test_info_without_a_pipeline_lists_installed_backbones(tiny_folder, tmp_path, monkeypatch):
    code, output = command("package-backbone", tiny_folder, tmp_path)
    assert code == 0, output
    monkeypatch.syspath_prepend(unpack(next(tmp_path.glob("*.whl")), tmp_path / "site"))
    code, output = command("info")
    assert code == 0
    assert f"ptv2-backbone-{tiny_folder.name}==1.0.0" in output


def test_package_command(pipeline, tmp_path):
    (tmp_path / "texts.txt").write_text("Peter works.\n")
    arguments = ("--name", "said", "--version", "1.0.0", "--texts", tmp_path / "texts.txt")
    code, output = command("package", pipeline, tmp_path, *arguments)
    assert code == 0, output
    assert "en_said-1.0.0-py3-none-any.whl" in output.replace(" ", "")
    code, output = command("package", pipeline, tmp_path, "--name", "../x")
    assert code == 1
    assert "[P609]" in output
