"""Pipelines that earlier releases saved load, predict what they did, and are saved again; newer formats are refused."""

import json
import shutil
from pathlib import Path

import pytest
import spacy
from safetensors.numpy import load_file, save_file

import spacy_ptv2
from spacy_ptv2.errors import FormatError
from spacy_ptv2.pipeline.safetensors_pipe import MODEL_FILE
from spacy_ptv2.serialization.tensors import FORMAT_VERSION, HEADER_KEY, load_tensors

from .saving import BACKBONE, EXPECTED, SAVED, describe

RELEASES = sorted(path for path in SAVED.iterdir() if path != BACKBONE)
MOST_BYTES = 200_000


@pytest.fixture(autouse=True)
def backbone(monkeypatch):
    monkeypatch.setenv("SPACY_PTV2_BACKBONE", str(BACKBONE))


def header_of(file):
    return load_tensors(file.read_bytes(), file)[1]


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_what_a_release_saved_loads(release, tmp_path):
    expected = json.loads((release / EXPECTED).read_text(encoding="utf8"))
    nlp = spacy.load(release)
    assert [describe(doc) for doc in nlp.pipe(entry["text"] for entry in expected)] == expected
    nlp.to_disk(tmp_path / "again")
    again = spacy.load(tmp_path / "again")
    assert [describe(again(entry["text"])) for entry in expected] == expected
    for file in release.rglob(MODEL_FILE):
        before, after = load_file(file), load_file(tmp_path / "again" / file.relative_to(release))
        assert before.keys() == after.keys() and all((before[name] == after[name]).all() for name in before)


def test_there_is_one_of_this_format():
    """If this fails, the format is new: `python -m tests.serialization.saving`."""
    headers = {path.name: [header_of(file) for file in path.rglob(MODEL_FILE)] for path in RELEASES}
    assert any(header["format_version"] == FORMAT_VERSION for own in headers.values() for header in own)
    for release, own in headers.items():
        assert own and {header["written_by"] for header in own} == {release}


def test_they_are_small():
    for path in RELEASES:
        assert sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) < MOST_BYTES


@pytest.mark.parametrize("component", ["ptuning_transformer", "token_classifier", "text_classifier"])
def test_a_newer_format_is_refused_by_name(tmp_path, component):
    folder = Path(shutil.copytree(RELEASES[-1], tmp_path / "newer"))
    file = folder / component / MODEL_FILE
    header = {**header_of(file), "format_version": FORMAT_VERSION + 1, "written_by": "7.1.0"}
    save_file(load_file(file), file, metadata={HEADER_KEY: json.dumps(header)})
    said = (
        rf"P303.*{component}.* has format version {FORMAT_VERSION + 1}.*wrote it \(7.1.0\).*`pip install -U spacy-ptv2`"
    )
    with pytest.raises(FormatError, match=said):
        spacy.load(folder)


def test_what_is_saved_says_who_wrote_it(nlp, tmp_path):
    nlp.to_disk(tmp_path)
    assert header_of(tmp_path / "token_classifier" / MODEL_FILE)["written_by"] == spacy_ptv2.__version__
