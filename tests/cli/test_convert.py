"""`spacy ptv2 convert`, as a command and as a function."""

import pytest
import spacy
from spacy.cli import app
from spacy.tokens import DocBin
from typer.testing import CliRunner

from spacy_ptv2.cli.convert import convert
from spacy_ptv2.corpora.conll import CorpusCounts
from spacy_ptv2.errors import CorpusError


def read(path):
    return list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))


def test_command_writes_docs_and_says_how_many(train_file, tmp_path):
    output = tmp_path / "new" / "train.spacy"
    result = CliRunner().invoke(app, ["ptv2", "convert", str(train_file), str(output)])
    assert result.exit_code == 0
    assert "3 sentences, 12 tokens, 5 entities" in result.output.replace("\n", " ")
    assert [ent.text for doc in read(output) for ent in doc.ents] == [
        "Acme",
        "Danish",
        "Peter Hansen",
        "John",
        "New York",
    ]


def test_one_doc_per_document(train_file, tmp_path):
    arguments = ["ptv2", "convert", str(train_file), str(tmp_path / "d.spacy"), "--granularity", "document"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert [len(list(doc.sents)) for doc in read(tmp_path / "d.spacy")] == [2, 1]


def test_function_returns_the_counts(train_file, tmp_path):
    assert convert(train_file, tmp_path / "a.spacy") == CorpusCounts(sentences=3, tokens=12, entities=5)


def test_broken_input_writes_nothing(tmp_path):
    (tmp_path / "broken.txt").write_text("A O\nB\n")
    with pytest.raises(CorpusError, match=r"P003.*broken.txt:2"):
        convert(tmp_path / "broken.txt", tmp_path / "out.spacy")
    assert not (tmp_path / "out.spacy").exists()


def test_command_shows_the_message_not_a_traceback(tmp_path):
    (tmp_path / "broken.txt").write_text("A O\nB\n")
    result = CliRunner().invoke(app, ["ptv2", "convert", str(tmp_path / "broken.txt"), str(tmp_path / "out.spacy")])
    assert result.exit_code == 1
    assert "P003" in result.output
    assert "Traceback" not in result.output
