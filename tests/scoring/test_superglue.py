"""MultiRC's and ReCoRD's scores against cases worked by hand."""

import pytest
import spacy
from spacy.training import Example

from spacy_ptv2.annotations.names import CANDIDATES, CHOICE, IDX, add_extension
from spacy_ptv2.errors import PTuningError
from spacy_ptv2.scoring.superglue import answer_scores, build_multirc_scorer_v1, build_record_scorer_v1

NLP = spacy.blank("en")
for name in (CANDIDATES, CHOICE, IDX):
    add_extension(name)


@pytest.mark.parametrize(
    ("answers", "f1", "em"),
    [
        # questions a: both right; b: one of two; c: none of one; 2 of 3 gold ones found, 3 predicted
        ([("a", 1, 1), ("a", 0, 0), ("b", 1, 1), ("b", 0, 1), ("c", 1, 0)], 2 * 2 / (3 + 3), 1 / 3),
        ([("a", 0, 0), ("b", 0, 0)], 0.0, 1.0),  # nothing right and nothing predicted: F1 is 0, as sklearn has it
        ([("a", 0, 1), ("a", 1, 1)], 2 / 3, 0.0),
        ([("a", 1, 1), ("b", 1, 0), ("a", 1, 1)], 4 / 5, 1 / 2),  # answers of one question need not be neighbours
    ],
)
def test_answers_by_hand(answers, f1, em):
    assert answer_scores([(question, bool(g), bool(p)) for question, g, p in answers]) == pytest.approx((f1, em))


def answer(question, gold, probability, paragraph=0):
    reference, predicted = NLP.make_doc("text"), NLP.make_doc("text")
    reference._.idx = {"paragraph": paragraph, "question": question, "answer": 0}
    reference.cats = {"0": 1.0 - gold, "1": float(gold)}
    predicted.cats = {"0": 1.0 - probability, "1": probability}
    return Example(predicted, reference)


def test_multirc_by_its_docs():
    examples = [answer(0, 1, 0.9), answer(0, 0, 0.2), answer(1, 1, 0.4), answer(0, 0, 0.6, paragraph=1)]
    scores = build_multirc_scorer_v1()(examples)
    # gold 2, predicted 2, both 1; questions (0, 0) right, (0, 1) and (1, 0) wrong; answers 1 and 2 right of 4
    assert (scores["multirc_f1a"], scores["multirc_em"]) == pytest.approx((1 / 2, 1 / 3))
    assert scores["cats_acc"] == 0.5
    assert build_multirc_scorer_v1()([])["multirc_em"] is None


@pytest.mark.parametrize("idx", [None, 3, {"passage": 0, "query": 0}])
def test_multirc_needs_to_know_the_questions(idx):
    example = answer(0, 1, 1.0)
    example.reference._.idx = idx
    with pytest.raises(PTuningError, match="P049.*'text'.*convert --task multirc"):
        build_multirc_scorer_v1()([example])


def query(candidates, gold, choice):
    reference, predicted = NLP.make_doc("text"), NLP.make_doc("text")
    reference._.candidates, reference._.choice, predicted._.choice = candidates, gold, choice
    return Example(predicted, reference)


def test_record_by_hand():
    examples = [
        query(["Kim Lee", "Kim", "Oslo"], [0, 1], 1),  # one of the right ones: exact 1, F1 1
        query(["the U.S.", "US", "Oslo"], [0], 1),  # equal once normalised: 1 and 1
        query(["Kim Lee", "Lee"], [0], 1),  # precision 1, recall 1/2: 0 and 2/3
        query(["Kim", "Lee"], (0,), None),  # not predicted: 0 and 0
        query(["Kim", "Lee"], 1, 0),  # 0 and 0
    ]
    scores = build_record_scorer_v1()(examples)
    assert scores["record_exact"] == pytest.approx(2 / 5)
    assert scores["record_f1"] == pytest.approx((1 + 1 + 2 / 3) / 5)
    assert scores["choice_acc"] == pytest.approx(1 / 5)


def test_record_without_gold():
    assert build_record_scorer_v1()([query(None, None, 0)])["record_f1"] is None
