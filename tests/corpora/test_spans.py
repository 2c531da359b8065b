"""Raw texts with entities in characters: white space, tokens that do not fit, overlaps. Nothing is lost in silence."""

import json

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.vocab import Vocab

from spacy_ptv2.corpora.documents import to_docs
from spacy_ptv2.corpora.files import read_corpus
from spacy_ptv2.corpora.options import build_file_options
from spacy_ptv2.corpora.readers import build_conll_corpus_v1
from spacy_ptv2.corpora.spans import blank_tokenize
from spacy_ptv2.errors import CorpusError

BLANK = blank_tokenize("en")


def write(folder, *records):
    path = folder / "texts.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf8")
    return path


def read(folder, *records, misaligned="error"):
    options = build_file_options(misaligned=misaligned)
    return read_corpus(write(folder, *records), options, lambda: BLANK).documents


def entities(documents):
    return [(ent.text, ent.label_) for doc in to_docs(documents, Vocab()) for ent in doc.ents]


@pytest.mark.parametrize("space", [" ", "\n", "\t", "  ", "\u00a0", "\r\n", "\u2028", " \n "])
def test_white_space_stays_inside_and_leaves_the_edges(tmp_path, space):
    text = f"Today{space}Mary{space}Shelley{space}wrote."
    start, end = len("Today"), text.index("wrote")  # as annotators drag: with what is around
    documents = read(tmp_path, {"text": text, "label": [[start, end, "PER"]]})
    (doc,) = to_docs(documents, Vocab())
    assert doc.text == text
    assert [ent.text for ent in doc.ents] == [f"Mary{space}Shelley"]
    assert not doc.ents[0][0].is_space and not doc.ents[0][-1].is_space


@settings(max_examples=50)
@given(st.text(alphabet="aB \n\t\u00a0.-'", max_size=30), st.data())
def test_any_span_is_read_or_told_of(tmp_path_factory, text, data):
    if not text:
        return
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    folder = tmp_path_factory.mktemp("spans")
    try:
        documents = read(folder, {"text": text, "label": [[start, end, "X"]]})
    except CorpusError as error:
        assert "P014" in str(error) and "1 of 1" in str(error)
    else:
        assert entities(documents) == [(text[start:end].strip(), "X")]


PARTS = {"text": "Yorkshire is near York.", "label": [[0, 4, "LOC"], [18, 22, "LOC"]]}


def test_an_entity_within_a_token(tmp_path):
    with pytest.raises(CorpusError, match=r"P014.*1 of 2.*'en'.*texts.jsonl:1, 'York' \(LOC\).*--lang.*--misaligned"):
        read(tmp_path, PARTS)
    with pytest.warns(UserWarning, match="PW23.*1 of 2.*widened.*'York'"):
        assert entities(read(tmp_path, PARTS, misaligned="expand")) == [("Yorkshire", "LOC"), ("York", "LOC")]
    with pytest.warns(UserWarning, match="PW23.*1 of 2.*left out.*'York'"):
        assert entities(read(tmp_path, PARTS, misaligned="skip")) == [("York", "LOC")]
    with pytest.raises(CorpusError, match="P021.*error, expand, skip.*'drop'"):
        build_file_options(misaligned="drop")


def test_overlaps(tmp_path):
    record = {"text": "University of Oslo", "label": [[0, 18, "ORG"], [14, 18, "LOC"], [0, 18, "ORG"]]}
    with pytest.raises(CorpusError, match=r"P016.*1 of 3.*texts.jsonl:1, LOC in tokens 2 to 3"):
        read(tmp_path, record)
    with pytest.warns(UserWarning, match="PW23.*1 of 3.*overlap"):
        assert entities(read(tmp_path, record, misaligned="skip")) == [("University of Oslo", "ORG")]
    spans = [{"type": "LOC", "start": 0, "end": 1}, {"type": "ORG", "start": 0, "end": 2}]
    nested = {"tokens": ["Oslo", "FC"], "entities": spans}
    with pytest.raises(CorpusError, match="P016"):
        read(tmp_path, nested)


def test_overlaps_in_a_span_group(tmp_path):
    """The group has all of them, once each, and the entities are the longest."""
    record = {"text": "University of Oslo", "label": [[0, 18, "ORG"], [14, 18, "LOC"], [0, 18, "ORG"]]}
    (example,) = build_conll_corpus_v1(write(tmp_path, record), spans_key="sc")(spacy.blank("en"))
    doc = example.reference
    assert [(span.text, span.label_) for span in doc.spans["sc"]] == [("University of Oslo", "ORG"), ("Oslo", "LOC")]
    assert [ent.text for ent in doc.ents] == ["University of Oslo"]


@pytest.mark.parametrize("span", [[0, 0, "X"], [-1, 3, "X"], [3, 1, "X"], [0, 99, "X"]])
def test_offsets_outside_the_text(tmp_path, span):
    with pytest.raises(CorpusError, match=r"P015.*texts.jsonl:2.*'X'.*9 characters"):
        read(tmp_path, {"text": "Anna", "label": []}, {"text": "Anna Berg", "label": [span]})


def test_offsets_that_javascript_counted(tmp_path):
    text = "\U0001f600 Anna \U0001f600\U0001f600 Berg"
    units = len(text[: text.index("Berg")].encode("utf-16-le")) // 2
    value = {"start": units, "end": units + 4, "text": "Berg", "labels": ["PER"]}
    assert entities(read(tmp_path, {"text": text, "label": [value]})) == [("Berg", "PER")]


def test_tasks_annotated_twice_and_tasks_skipped(tmp_path):
    def task(*labels, cancelled=False):
        results = [{"value": {"start": 0, "end": 4, "labels": [label]}} for label in labels]
        return {"result": results, "was_cancelled": cancelled}

    records = [
        {"data": {"review": "Anna"}, "annotations": [task("OLD", cancelled=True), task("PER")]},
        {"data": {"review": "Oslo"}, "annotations": [task("LOC"), task("ORG")]},
        {"data": {"review": "Oslo"}, "annotations": [task("LOC", cancelled=True)]},
    ]
    with pytest.warns(UserWarning, match=r"PW24.*1 tasks.*texts.jsonl:2"):
        assert entities(read(tmp_path, *records)) == [("Anna", "PER"), ("Oslo", "LOC")]


def test_an_unknown_language():
    with pytest.raises(CorpusError, match="P017.*'klingon'"):
        blank_tokenize("klingon")


def test_the_reader_tokenises_as_the_pipeline_does(tmp_path):
    path = write(tmp_path, {"text": "at Marie's", "spans": [{"start": 3, "end": 8, "label": "PER"}]})
    nlp = spacy.blank("en")
    nlp.tokenizer.add_special_case("at", [{"ORTH": "a"}, {"ORTH": "t"}])
    (example,) = build_conll_corpus_v1(path)(nlp)
    assert [token.text for token in example.predicted] == ["a", "t", "Marie", "'s"]
    assert example.predicted.text == example.reference.text == "at Marie's"
    assert [ent.text for ent in example.reference.ents] == ["Marie"]


def test_the_reader_takes_the_settings_of_a_file(tmp_path):
    (tmp_path / "a.txt").write_text("1 Anna x PERSON\n2 Berg x PERSON\n\n1 Oslo x O\n", encoding="utf8")
    reader = build_conll_corpus_v1(tmp_path, scheme="io", word_column=2, tag_column=-1)
    examples = list(reader(spacy.blank("en")))
    assert [[ent.text for ent in example.reference.ents] for example in examples] == [["Anna Berg"], []]
    with pytest.raises(CorpusError, match="P008"):
        build_conll_corpus_v1(tmp_path, scheme="none")
