"""The sample of predictions that a package carries."""

import json

import pytest
import spacy

from spacy_ptv2.errors import FormatError, PTuningError
from spacy_ptv2.packaging.sample import describe, differing_texts, make_sample, read_sample, sample_texts


def test_texts_come_from_a_file_or_the_language(tmp_path):
    (tmp_path / "texts.txt").write_text("One.\n\n  Two.  \n")
    assert sample_texts("xx", tmp_path / "texts.txt") == ["One.", "Two."]
    assert len(sample_texts("en", None)) > 3


def test_without_texts_it_says_how_to_give_some(tmp_path):
    with pytest.raises(PTuningError, match="P605.*'qq'.*--texts"):
        sample_texts("qq", None)
    with pytest.raises(PTuningError, match="P606.*No such file"):
        sample_texts("en", tmp_path / "absent.txt")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(PTuningError, match="P606.*no text"):
        sample_texts("en", tmp_path / "empty.txt")


def test_everything_annotated_is_described():
    nlp = spacy.blank("en")
    doc = nlp.make_doc("Peter works")
    assert set(describe(doc)) == {"tokens", "ents", "spans"}
    for token, tag, head in zip(doc, ("NNP", "VBZ"), (1, 1), strict=True):
        token.tag_, token.dep_, token.head = tag, "dep", doc[head]
    doc.set_ents([doc.char_span(0, 5, label="PER")])
    doc.spans["x"] = [doc.char_span(0, 11, label="ALL")]
    found = describe(doc)
    assert found["ents"] == [[0, 1, "PER"]]
    assert found["spans"] == {"x": [[0, 2, "ALL"]]}
    assert (found["tag"], found["heads"], found["dep"]) == (["NNP", "VBZ"], [1, 1], ["dep", "dep"])


def test_differing_predictions_are_found(nlp, tmp_path):
    path = tmp_path / "sample.json"
    sample = make_sample(nlp, ["Peter works", "in London"])
    path.write_text(json.dumps(sample))
    assert differing_texts(nlp, read_sample(path)) == []
    sample["predictions"][1]["ents"].append([0, 2, "X"])
    path.write_text(json.dumps(sample))
    assert differing_texts(nlp, read_sample(path)) == ["in London"]
    assert read_sample(path).precisions == ["float32"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"texts": ["a"], "predictions": [1], "format_version": 1}',
        '{"texts": ["a"], "predictions": [], "precisions": [], "format_version": 1}',
        '{"texts": [1], "predictions": [1], "precisions": [], "format_version": 1}',
        '{"texts": ["a"], "predictions": [1], "precisions": [2], "format_version": 1}',
        '{"texts": ["a"], "predictions": [1], "precisions": 2, "format_version": 1}',
        '{"texts": ["a"], "predictions": [1], "precisions": [], "format_version": 2}',
    ],
)
def test_foreign_samples_are_refused(tmp_path, content):
    (tmp_path / "sample.json").write_text(content)
    with pytest.raises(FormatError, match=r"P607.*sample\.json"):
        read_sample(tmp_path / "sample.json")
