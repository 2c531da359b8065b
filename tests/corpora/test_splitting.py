"""Splits by whole documents: the shares that were asked for, and no text in two parts."""

import json

import pytest
import spacy
from hypothesis import assume, given
from hypothesis import strategies as st
from spacy.cli import app
from spacy.tokens import DocBin
from typer.testing import CliRunner

from spacy_ptv2.corpora.splitting import parse_shares, split
from spacy_ptv2.errors import CorpusError

from ..tiny import TRAIN_CONLL


@given(st.lists(st.integers(0, 40), min_size=30), st.sampled_from(["80,10,10", "1,1", "90,10", "0.5,0.25,0.25"]))
def test_each_document_is_in_one_part_beside_its_copies(documents, shares):
    assume(len(set(documents)) > 2)
    parts = split(documents, parse_shares(shares), lambda document: document)
    assert sorted(one for part in parts.values() for one in part) == sorted(documents)
    assert sum(len(set(part)) for part in parts.values()) == len(set(documents))
    assert all(parts.values())


def test_shares_order_and_repeatability():
    documents = list(range(1000))
    parts = split(documents, parse_shares("80,10,10"), lambda document: document)
    assert {part: len(own) for part, own in parts.items()} == {"train": 800, "dev": 100, "test": 100}
    assert all(own == sorted(own) for own in parts.values())
    assert parts == split(documents, parse_shares("8,1,1"), lambda document: document)
    assert parts["dev"] != list(range(800, 900))  # at random


@pytest.mark.parametrize("text", ["", "80", "80,20,", "80,0,20", "a,b", "1,2,3,4", "-1,2", "inf,1", "nan,1"])
def test_shares_that_are_none(text):
    with pytest.raises(CorpusError, match="P798.*80,10,10"):
        parse_shares(text)


def test_few_documents():
    parts = split([1, 2, 3], parse_shares("98,1,1"), lambda document: document)
    assert [len(own) for own in parts.values()] == [1, 1, 1]
    with pytest.raises(CorpusError, match="P799.*2 different.*test"):
        split([1, 1, 2], parse_shares("80,10,10"), lambda document: document)


def run(*arguments):
    return CliRunner().invoke(app, ["ptv2", "convert", *map(str, arguments)])


def texts(path):
    return [doc.text for doc in DocBin().from_disk(path).get_docs(spacy.blank("en").vocab)]


def test_sentences_of_a_document_stay_together(tmp_path):
    """The corpus has two documents, of two sentences and one."""
    (tmp_path / "texts.conll").write_text(TRAIN_CONLL)
    result = run(tmp_path / "texts.conll", tmp_path / "corpus", "--split", "50,50")
    assert result.exit_code == 0, result.output
    assert {path.name for path in (tmp_path / "corpus").iterdir()} == {"train.spacy", "dev.spacy"}
    assert sorted(len(texts(tmp_path / "corpus" / name)) for name in ("train.spacy", "dev.spacy")) == [1, 2]


def test_other_tasks_and_their_copies(tmp_path):
    rows = [{"text": f"text\n{n % 7} here", "label": "a"} for n in range(14)]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    result = run(tmp_path / "rows.json", tmp_path / "corpus", "--task", "textcat", "--split", "60,20,20")
    assert result.exit_code == 0, result.output
    parts = {name: texts(tmp_path / "corpus" / f"{name}.spacy") for name in ("train", "dev", "test")}
    assert sum(map(len, parts.values())) == 14 and sum(len(set(part)) for part in parts.values()) == 7
    assert "train.spacy" in result.output.replace("\n", "") and "Docs" in result.output


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "texts.conll").write_text(TRAIN_CONLL)
    result = run(tmp_path / "texts.conll", tmp_path / "train.spacy", "--split", "50,50")
    assert result.exit_code == 1 and "P056" in result.output
