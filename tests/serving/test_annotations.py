"""Annotations as JSON: everything that a Doc has, by hand, and nothing that it has not."""

import pytest
import spacy
from spacy.tokens import Doc, Span

from spacy_ptv2.annotations.names import CHOICE, CHOICE_SCORES, add_extension
from spacy_ptv2.annotations.roles import set_roles
from spacy_ptv2.serving.annotations import to_json

TEXT = "Mary 😀 gives\n John apples"


@pytest.fixture
def doc():
    return spacy.blank("en")(TEXT)


def test_a_doc_without_annotations(doc):
    assert to_json(doc, "a") == {"task": "a", "entities": []}


def test_frames_are_not_entities(doc):
    predicate = doc.char_span(TEXT.index("gives"), TEXT.index("gives") + 5)
    doc.spans["predicates"] = [predicate]
    doc.spans["predicates"].attrs["scores"] = [0.75]
    set_roles(doc, [[(0, 1, "A0"), (len(doc) - 1, len(doc), "A1")]], [[0.5, 0.25]])
    answer = to_json(doc, "a")
    assert answer["entities"] == []
    (frame,) = answer["frames"]
    assert frame["predicate"] == {"start": 7, "end": 12, "text": "gives", "label": "", "confidence": 0.75}
    assert [(r["label"], r["text"], r["confidence"]) for r in frame["roles"]] == [
        ("A0", "Mary", 0.5),
        ("A1", "apples", 0.25),
    ]


def test_gold_frames_have_no_confidences(doc):
    doc.spans["predicates"] = [Span(doc, 2, 3, label="give")]
    set_roles(doc, [[(0, 1, "A0")]])
    (frame,) = to_json(doc, "a")["frames"]
    assert [span["confidence"] for span in (frame["predicate"], *frame["roles"])] == [None, None]


def test_tags_and_trees():
    vocab = spacy.blank("en").vocab
    doc = Doc(vocab, words=["Mary", "sleeps"], tags=["NNP", "VBZ"], pos=["PROPN", "VERB"], lemmas=["Mary", "sleep"],
              morphs=["Number=Sing", ""], heads=[1, 1], deps=["nsubj", "ROOT"])  # fmt: skip
    first, second = to_json(doc, "a")["tags"]
    assert first == {"start": 0, "end": 4, "tag": "NNP", "pos": "PROPN", "morph": "Number=Sing", "lemma": "Mary",
                     "dep": "nsubj", "head": 5}  # fmt: skip
    assert (second["head"], second["dep"]) == (5, "ROOT")


def test_classes_answers_and_choices(doc):
    doc.cats = {"a": 0.25, "b": 0.75}
    doc._.answers, doc._.no_answer = [[{"answer": "Mary", "score": 0.5, "start": 0, "end": 4}], []], [0.5, 1.0]
    for name in (CHOICE, CHOICE_SCORES):
        add_extension(name)
    doc._.choice, doc._.choice_scores = 0, [0.75, 0.25]
    assert to_json(doc, "a") == {
        "task": "a",
        "entities": [],
        "classes": {"a": 0.25, "b": 0.75},
        "answers": [[{"answer": "Mary", "score": 0.5, "start": 0, "end": 4}], []],
        "no_answer": [0.5, 1.0],
        "choice": 0,
        "choice_scores": [0.75, 0.25],
    }
