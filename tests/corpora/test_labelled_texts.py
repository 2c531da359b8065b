"""Rows with labels: CSV with quotes and line breaks, JSON lines, SuperGLUE's forms, and rows that are wrong."""

import json

import pytest

from spacy_ptv2.corpora.labelled_texts import read_labelled_texts
from spacy_ptv2.corpora.spans import blank_tokenize
from spacy_ptv2.corpora.tasks import TASKS, task_reader
from spacy_ptv2.errors import CorpusError

CSV = 'text,category\n"one, ""two""\nthree",b\nfour,a\n\nfive, b \n'


def read(tmp_path, text, task="textcat", **settings):
    path = tmp_path / "train.txt"
    text = text if isinstance(text, str) else "\n".join(map(json.dumps, text))
    path.write_text(text, encoding="utf8")
    return read_labelled_texts(path, blank_tokenize("en"), task, **settings)


def test_csv_with_quotes_and_line_breaks(tmp_path):
    docs = read(tmp_path, CSV)
    assert [doc.text for doc in docs] == ['one, "two"\nthree', "four", "five"]
    assert [doc.cats for doc in docs] == [{"a": 0.0, "b": 1.0}, {"a": 1.0, "b": 0.0}, {"a": 0.0, "b": 1.0}]


@pytest.mark.parametrize("delimiter", ["\t", ";"])
def test_other_delimiters(delimiter, tmp_path):
    docs = read(tmp_path, f"label{delimiter}text\nx{delimiter}one, two\n")
    assert (docs[0].text, docs[0].cats) == ("one, two", {"x": 1.0})


def test_json_lines_and_arrays(tmp_path):
    rows = [{"text": "one", "label": 0}, {"text": "two", "label": True}]
    assert [doc.cats for doc in read(tmp_path, rows)] == [{"0": 1.0, "true": 0.0}, {"0": 0.0, "true": 1.0}]
    assert [doc.text for doc in read(tmp_path, json.dumps(rows, indent=1))] == ["one", "two"]


def test_columns_may_have_any_names(tmp_path):
    rows = [{"a": "one", "b": "two", "c": "x", "text": "no"}]
    columns = {"text": "a", "second_text": "b", "label": "c"}
    (doc,) = read(tmp_path, rows, "pairs", columns=columns)
    assert (doc.text, doc._.second_text, doc.cats) == ("one", "two", {"x": 1.0})
    with pytest.raises(CorpusError, match="P043.*'pairs'.*'labels'.*text, second_text, label"):
        read(tmp_path, rows, "pairs", columns={"labels": "c"})


@pytest.mark.parametrize(
    "row",
    [
        {"premise": "one", "hypothesis": "two", "label": "x"},
        {"passage": "one", "question": "two", "label": "x"},
        {"sentence1": "one", "sentence2": "two", "gold_label": "x"},
    ],
)
def test_usual_names_of_pairs(row, tmp_path):
    (doc,) = read(tmp_path, [row], "pairs")
    assert (doc.text, doc._.second_text, doc.cats) == ("one", "two", {"x": 1.0})


def test_the_idx_of_a_row_is_kept(tmp_path):
    rows = [{"text": "one", "label": "x", "idx": 7}, {"text": "two", "label": "x"}]
    assert [doc._.idx for doc in read(tmp_path, rows)] == [7, None]


def test_copa(tmp_path):
    row = {"premise": "It rained.", "choice1": "wet", "choice2": "dry", "question": "effect", "label": 0}
    (doc,) = read(tmp_path, [row], "copa")
    assert doc.text == "It rained. What happened as a result?"
    assert (doc._.second_text, doc._.choice, doc.cats) == (["wet", "dry"], 0, {})


def test_wic(tmp_path):
    row = {"sentence1": "An old class.", "sentence2": "real class", "start1": 7, "end1": 12, "start2": 5, "end2": 10}
    (doc,) = read(tmp_path, [{**row, "label": False}], "wic")
    assert [span.text for span in doc.spans["texts"]] == ["An old class.", "real class"]
    assert [span.text for span in doc.spans["marked"]] == ["class", "class"]
    assert doc.cats == {"false": 1.0}
    with pytest.raises(CorpusError, match=r"P013.*train\.txt:1.*words within"):
        read(tmp_path, [{**row, "end2": 60, "label": False}], "wic")


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"text": " ", "label": "x"}, "P041.*train.txt:2"),
        ({"text": "a", "label": ""}, "P013.*a row with a label"),
        ({"text": "a"}, "P013.*train.txt:2"),
        ({"text": 3, "label": "x"}, "P013.*train.txt:2"),
    ],
)
def test_a_wrong_row_is_refused_by_its_line_or_left_out(row, code, tmp_path):
    rows = [{"text": "good", "label": "x"}, row]
    with pytest.raises(CorpusError, match=code):
        read(tmp_path, rows)
    with pytest.warns(UserWarning, match=rf"PW30.*1 of 2 rows were left out.*{code[:4]}"):
        assert [doc.text for doc in read(tmp_path, rows, lenient=True)] == ["good"]


@pytest.mark.parametrize(
    ("text", "task", "code"),
    [
        ("text,category\na\n", "textcat", "P001.*expected 2 columns.*got 1"),
        ('text,category\n"a,b\n', "textcat", "P011.*CSV"),
        (
            "words,category\na,b\n",
            "textcat",
            "P040.*no column for the text.*'text'.*got the columns 'words', 'category'",
        ),
        ("text,label\na,b\n", "pairs", "P040.*second_text.*--column second_text=NAME"),
        ("", "textcat", "P004"),
        ('{"text": "a"\n', "textcat", "P011"),
        ('[{"text": "a", "label": "b"}, 3]', "textcat", "P013.*entry 2"),
        ("[", "textcat", "P011"),
    ],
)
def test_other_files_are_refused(text, task, code, tmp_path):
    with pytest.raises(CorpusError, match=code):
        read(tmp_path, text, task)


def test_tasks_by_their_names():
    assert set(TASKS) == {"srl", "squad", "textcat", "pairs", "copa", "wic", "wsc", "multirc", "record"}
    assert all(task_reader(name) is TASKS["pairs"] for name in ("BoolQ", "RTE", "CB"))
    assert task_reader("COPA") is TASKS["copa"]
    with pytest.raises(CorpusError, match="P042.*'qa'.*ner, srl, squad"):
        task_reader("qa")
