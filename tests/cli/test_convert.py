"""`spacy ptv2 convert`, as a command and as a function."""

import os
from pathlib import Path
from threading import Thread

import pytest
import spacy
from spacy.cli import app
from spacy.tokens import DocBin
from typer.testing import CliRunner

from spacy_ptv2.cli.convert import convert
from spacy_ptv2.corpora.conll import CorpusCounts, count_corpus
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
    corpus = convert(train_file, tmp_path / "a.spacy")[tmp_path / "a.spacy"]
    assert count_corpus(corpus.documents) == CorpusCounts(sentences=3, tokens=12, entities=5)


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


def run(*arguments):
    result = CliRunner().invoke(app, ["ptv2", "convert", *map(str, arguments)])
    return result.exit_code, " ".join(result.output.split())


def test_command_says_columns_and_scheme(tmp_path):
    (tmp_path / "a.txt").write_text("1 Anna x S-PER\n2 Berg x O\n")
    code, output = run(tmp_path / "a.txt", tmp_path / "a.spacy")
    assert code == 0
    assert "word in column 2, tag in 4 of 4; scheme BIOES" in output
    assert "PW" not in output


def test_command_takes_columns_and_scheme(tmp_path):
    (tmp_path / "a.txt").write_text("form ner more\nAnna PERSON O\nBerg PERSON O\n")
    options = ["--column", "word=form", "--column", "tag=-2", "--scheme", "io"]
    assert run(tmp_path / "a.txt", tmp_path / "a.spacy", *options)[0] == 0
    (doc,) = read(tmp_path / "a.spacy")
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("Anna Berg", "PERSON")]


def test_command_knows_its_columns(tmp_path):
    (tmp_path / "a.txt").write_text("Anna B-PER\n")
    code, output = run(tmp_path / "a.txt", tmp_path / "a.spacy", "--column", "text=1")
    assert code == 1 and "P043" in output and "word, tag" in " ".join(output.split())


def test_command_tokenises_texts_and_warns(tmp_path):
    text = '{"text": "Don\'t, Yves", "label": [[0, 4, "PER"]]}\n'
    (tmp_path / "a.jsonl").write_text(text)
    code, output = run(tmp_path / "a.jsonl", tmp_path / "a.spacy", "--lang", "xx", "--misaligned", "expand")
    assert code == 0
    assert "PW23" in output and "1 texts, 3 tokens, 1 entities" in output
    assert [[token.text for token in doc] for doc in read(tmp_path / "a.spacy")] == [["Don't", ",", "Yves"]]
    assert not read(tmp_path / "a.spacy")[0].has_annotation("SENT_START")


def test_command_reads_a_folder(train_file, tmp_path):
    (tmp_path / "in").mkdir()
    for i in range(22):
        (tmp_path / "in" / f"{i}.txt").write_text("Anna S-PER\n")
    code, output = run(tmp_path / "in", tmp_path / "a.spacy")
    assert code == 0
    assert "and 2 more files" in output and "22 sentences, 22 tokens, 22 entities" in output


@pytest.mark.parametrize(
    ("output", "code"), [("folder", "P019"), ("a.json", "P018"), ("a", "P018"), ("in.txt/a.spacy", "P024")]
)
def test_an_output_that_is_none_is_refused(tmp_path, output, code):
    (tmp_path / "folder").mkdir()
    (tmp_path / "in.txt").write_text("Anna S-PER\n")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CorpusError, match=code):
        convert(tmp_path / "in.txt", tmp_path / output)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_failure_halfway_leaves_the_old_file_alone(tmp_path, monkeypatch):
    (tmp_path / "in.txt").write_text("Anna S-PER\n")
    convert(tmp_path / "in.txt", tmp_path / "a.spacy")
    before = (tmp_path / "a.spacy").read_bytes()
    written = Path.write_bytes

    def fail(path, content):
        written(path, content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(CorpusError, match="P024.*No space left"):
        convert(tmp_path / "in.txt", tmp_path / "a.spacy")
    assert (tmp_path / "a.spacy").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.spacy", "in.txt"]
    (tmp_path / "in.txt").write_text("Anna S-PER\nBerg\n")
    with pytest.raises(CorpusError, match="P003"):
        convert(tmp_path / "in.txt", tmp_path / "a.spacy")
    assert (tmp_path / "a.spacy").read_bytes() == before


def test_it_reads_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = Thread(target=(tmp_path / "pipe").write_text, args=("Anna S-PER\n",))
    writer.start()
    assert count_corpus(convert(tmp_path / "pipe", tmp_path / "a.spacy")[tmp_path / "a.spacy"].documents).entities == 1
    writer.join()


def test_it_writes_as_other_programs_do(train_file, tmp_path):
    (tmp_path / "plain").write_text("")
    convert(train_file, tmp_path / "a.spacy")
    assert (tmp_path / "a.spacy").stat().st_mode == (tmp_path / "plain").stat().st_mode
