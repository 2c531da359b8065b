"""spaCy's entity scores and seqeval's are the same numbers."""

import numpy as np
import pytest
import spacy
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_ptv2.scoring.entities import score_entities

NLP = spacy.blank("en")
LABELS = ("PER", "LOC", "ORG")


def random_doc(random, words):
    doc = Doc(NLP.vocab, words=words)
    ends = np.sort(random.choice(len(words) + 1, size=random.integers(0, len(words) // 2) * 2, replace=False))
    doc.set_ents([Span(doc, a, b, random.choice(LABELS)) for a, b in ends.reshape(-1, 2)])
    return doc


def example_pair(random):
    """A gold and a predicted Doc that share about half of their entities."""
    words = [f"w{i}" for i in range(random.integers(3, 25))]
    gold, predicted = random_doc(random, words), random_doc(random, words)
    if random.random() < 0.5:
        predicted = gold.copy()
        predicted.set_ents([ent for ent in gold.ents if random.random() < 0.7])
    return Example(predicted, gold)


@pytest.mark.parametrize("seed", range(20))
def test_agree_on_random_sequences(seed):
    random = np.random.default_rng(seed)
    scores = score_entities([example_pair(random) for _ in range(30)])
    assert 0 < scores["ents_f"] < 1
    for which in "prf":
        assert scores[f"ents_{which}"] == pytest.approx(scores[f"seqeval_{which}"], abs=1e-12)


def test_spacys_own_numbers_are_unchanged():
    random = np.random.default_rng(0)
    examples = [example_pair(random) for _ in range(30)]
    scores = score_entities(examples)
    assert {key: scores[key] for key in get_ner_prf(examples)} == get_ner_prf(examples)


def test_adjacent_entities_of_one_label_count_as_two():
    words = ["a", "b"]
    gold, merged = Doc(NLP.vocab, words=words), Doc(NLP.vocab, words=words)
    gold.set_ents([Span(gold, 0, 1, "PER"), Span(gold, 1, 2, "PER")])
    merged.set_ents([Span(merged, 0, 2, "PER")])
    assert (
        score_entities([Example(merged, gold)])["seqeval_f"] == score_entities([Example(merged, gold)])["ents_f"] == 0
    )


def test_no_entities_anywhere():
    doc = Doc(NLP.vocab, words=["a"], ents=["O"])
    scores = score_entities([Example(doc.copy(), doc)])
    assert scores["seqeval_f"] == scores["ents_f"]


def test_docs_that_cannot_be_aligned_are_left_to_spacy():
    """A gold entity that ends inside a predicted token has no tag sequence for seqeval to compare."""
    gold = Doc(NLP.vocab, words=["New", "York", "er"], spaces=[True, False, False])
    gold.set_ents([Span(gold, 0, 2, "LOC")])
    predicted = Doc(NLP.vocab, words=["New", "Yorker"], spaces=[True, False])
    aligned = Doc(NLP.vocab, words=["in", "Paris"], ents=["O", "B-LOC"])
    scores = score_entities([Example(predicted, gold), Example(aligned.copy(), aligned)])
    assert scores["seqeval_f"] == 1.0
    assert scores["ents_r"] < 1.0
