"""Neighbouring Docs become one, with all that they say, and the same ones each time."""

import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span

from spacy_ptv2.corpora.joined_corpus import build_joined_corpus_v1
from spacy_ptv2.errors import PTuningError

WORDS = [["Peter", "Hansen", "reads"], ["Mary", "\n", "sings"], ["in", "New", "York", "City"], ["again"]] * 25


@pytest.fixture
def path(tmp_path):
    """Sentences with entities, tags and spans; some with a line break between words, none ends with a space."""
    vocab = spacy.blank("en").vocab
    docs = []
    for words in WORDS:
        doc = Doc(vocab, words=words, spaces=[True] * (len(words) - 1) + [False], tags=["T"] * len(words))
        doc.ents = [Span(doc, 0, 1, "PER")] if words[0] != "in" else [Span(doc, 1, 4, "LOC")]
        doc.spans["parts"] = [Span(doc, 0, len(doc), "ALL")]
        docs.append(doc)
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "train.spacy")
    return tmp_path / "train.spacy"


def read(path, **settings):
    return list(build_joined_corpus_v1(path, **settings)(spacy.blank("en")))


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_nothing_is_lost_or_moved(path, share):
    examples = read(path, share=share, words=40)
    assert [t.text for e in examples for t in e.reference] == [word for words in WORDS for word in words]
    assert all(e.predicted.text == e.reference.text for e in examples)
    ents = [ent.text for e in examples for ent in e.reference.ents]
    assert ents == ["Peter", "Mary", "New York City", "again"] * 25
    assert sum(len(e.reference.spans["parts"]) for e in examples) == 100
    assert all(token.tag_ == "T" for e in examples for token in e.reference)
    assert not any(e.predicted.ents for e in examples)


def test_how_much_is_joined(path):
    lengths = {share: [len(e.reference) for e in read(path, share=share, words=40)] for share in (0, 0.5, 1)}
    assert len(lengths[0]) == 100 and max(lengths[0]) == 4
    assert len(lengths[1]) < len(lengths[0.5]) < 100
    assert 4 < max(lengths[1]) <= 40
    assert len(set(lengths[1])) > 5, "of many lengths"
    joined = sum(length for length in lengths[0.5] if length > 4)
    assert 0.25 < joined / sum(lengths[0.5]) < 0.75


def test_the_same_is_drawn_each_time(path):
    reader = build_joined_corpus_v1(path, words=40)
    nlp = spacy.blank("en")
    first, second = ([e.reference.text for e in reader(nlp)] for _ in range(2))
    assert first == second
    assert first != [e.reference.text for e in read(path, words=40, seed=1)]


def test_a_doc_that_is_longer_stays_whole(path):
    assert len(read(path, share=1.0, words=2)) == 100


@pytest.mark.parametrize("wrong", [{"share": 1.5}, {"share": -0.1}, {"words": 1}])
def test_what_cannot_be_is_refused(path, wrong):
    with pytest.raises(PTuningError, match="P057"):
        read(path, **wrong)
