"""The whole quickstart workflow on the real backbone, shortened: down to a wheel in a fresh environment."""

import json
import shutil
import subprocess
import sys

import pytest

from ..conftest import ROOT

GENERATED = {".git", "assets", "corpus", "training", "packages", "metrics", "build", "dist", "project.lock"}
SHORT = ("--vars.quickstart_epochs", "1", "--vars.quickstart_min_steps", "0")
FRESH = ("--vars.quickstart_place", "")  # the wheel in an environment of its own, as of `make quickstart-full`


def generated(folder, names):
    """Return what a fresh checkout would not have at the top of the tree."""
    return {name for name in names if name in GENERATED or name.startswith(".venv")} if folder == str(ROOT) else set()


def run_project(folder, *arguments):
    command = [sys.executable, "-m", "spacy", "project", "run", "quickstart", ".", *arguments]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf8", check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("place", [(), pytest.param(FRESH, marks=pytest.mark.exhaustive)], ids=["folder", "fresh"])
def test_quickstart_ends_with_a_wheel_that_predicts_the_same_elsewhere(place, tmp_path):
    folder = shutil.copytree(ROOT, tmp_path / "checkout", ignore=generated)
    output = run_project(folder, *SHORT, *place)
    assert (folder / "spacy_ptv2" / "training").is_dir()
    (wheel,) = (folder / "packages" / "wikigold").glob("*.whl")
    assert wheel.name == "en_ptv2_ner-0.1.0-py3-none-any.whl"
    assert wheel.stat().st_size < 3_000_000
    smoke = json.loads((folder / "metrics" / "wikigold-smoke-test.json").read_text())
    assert smoke["different_docs"] == 0
    assert smoke["tokens"] > 2000
    metrics = json.loads((folder / "metrics" / "wikigold.json").read_text())
    assert metrics["test"]["ents_f"] == pytest.approx(metrics["test"]["seqeval_f"])
    assert metrics["test"]["ents_f"] > 0.1
    assert metrics["trained_share"] < 0.015
    assert "Ada Lovelace worked with Charles Babbage in London" in output
    assert "F1 on test" in output and f"install packages/wikigold/{wheel.name}" in " ".join(output.split())
    again = run_project(folder, *SHORT, *place)
    assert again.count("nothing changed") == 6
