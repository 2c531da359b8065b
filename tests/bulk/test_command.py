"""`spacy ptv2 annotate`: what it prints, and how it exits."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from spacy.cli import app
from typer.testing import CliRunner

import spacy_ptv2.cli  # noqa: F401  (which adds the commands to spaCy's)
from spacy_ptv2.bulk import work

from .conftest import rows_of


@pytest.fixture
def command(tmp_path, pipelines):
    def start(source, *options, given=("ner",)):
        names = [pipelines.get(name, name) for name in given]
        arguments = ["ptv2", "annotate", *names, source, tmp_path / "out", "--shard-size", 10, *options]
        got = CliRunner().invoke(app, [str(argument) for argument in arguments])
        return got.exit_code, " ".join(got.stdout.split()), " ".join(got.stderr.split())

    return start


def test_annotates_and_says_what(command, lines, tmp_path):
    code, out, _ = command(lines, given=("ner", "other"))
    assert code == 0
    assert "60 documents, " in out and "in 6 shards, 0 of them from before" in out
    assert [list(row["annotations"]) for row in rows_of(tmp_path / "out")] == [["ner", "other"]] * 60
    code, out, _ = command(lines, given=("ner", "other"))
    assert code == 0 and "6 of them from before" in out


def test_bad_records_are_a_warning(command, lines):
    lines.write_text(lines.read_text() + "{\n")
    code, _, err = command(lines)
    assert code == 0 and "[PW50] 1 of 61 records could not be read or annotated" in err
    code, _, err = command(lines, "--strict")
    assert code == 1 and "PW50" in err


def test_nothing_but_bad_records_is_an_error(command, lines):
    code, out, err = command(lines, "--column", "text=body")
    assert code == 1 and "✔" not in out
    assert "[P833] None of 60 records could be annotated. The first: expected a text in the field 'body'" in err


def test_shards_that_fail_are_an_error(command, tmp_path, lines, monkeypatch):
    def fails(*args):
        raise RuntimeError("no")

    monkeypatch.setattr(work, "schema_of", fails)
    pq.write_table(pa.table({"text": ["London"]}), lines.with_suffix(".parquet"))
    code, _, err = command(lines.parent, "--format", "parquet")
    assert code == 1
    assert "P824" in err and "RuntimeError: no" in err and "1 shards could not be annotated" in err


@pytest.mark.parametrize("options", [("--shard", "3/2"), ("--format", "xml"), ("--column", "a=b")])
def test_what_cannot_be_is_said(command, lines, options):
    code, _, err = command(lines, *options)
    assert code == 1 and "Cannot annotate" in err


def test_a_pipeline_that_is_not_there(command, lines, tmp_path):
    code, _, err = command(lines, given=("nowhere",))
    assert code == 1 and "P613" in err
    assert not (tmp_path / "out").exists()


def test_columns(command, lines, tmp_path):
    code, _, _ = command(lines, "--column", "annotations=ner", "--column", "keep=text")
    assert code == 0
    assert [list(row) for row in rows_of(tmp_path / "out")] == [["text", "ner"]] * 60
    assert json.loads((tmp_path / "out" / "_manifest.json").read_text())["documents"] == 60
