"""Role scores against propositions scored by hand, by the rules of CoNLL-2005's script."""

import pytest
import spacy
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_ptv2.annotations.roles import set_roles
from spacy_ptv2.scoring.roles import RoleCounts, build_role_scorer_v1, join_pieces

NLP = spacy.blank("en")


def counted(gold, predicted):
    counts = RoleCounts()
    counts.add(gold, predicted)
    return counts.right.total(), counts.excess.total(), counts.missed.total()


A0, A1, TMP = (0, 1, "A0"), (3, 6, "A1"), (6, 8, "AM-TMP")


@pytest.mark.parametrize(
    ("gold", "predicted", "right_excess_missed"),
    [
        ([A0, A1], [A0, A1], (2, 0, 0)),
        ([A0, A1], [A0, (3, 5, "A1")], (1, 1, 1)),  # another end
        ([A0], [(0, 1, "A1")], (0, 1, 1)),  # another label
        ([A0, (2, 3, "V")], [A0, (1, 3, "V")], (1, 0, 0)),  # the predicate is not counted
        ([A0, (2, 3, "V"), (4, 5, "C-V")], [A0], (1, 0, 0)),
        ([A1, (7, 9, "C-A1")], [A1, (7, 9, "C-A1")], (1, 0, 0)),  # one role of two pieces
        ([A1, (7, 9, "C-A1")], [A1], (0, 1, 1)),
        ([A1, (7, 9, "C-A1")], [A1, (7, 9, "A1")], (0, 2, 1)),
        ([(7, 9, "A1")], [(7, 9, "C-A1")], (1, 0, 0)),  # an orphan counts as what it would continue
        ([(0, 1, "A1"), A1, (7, 9, "C-A1")], [(0, 1, "A1"), A1, (7, 9, "C-A1")], (2, 0, 0)),  # continues the latest
        ([A1, (7, 9, "C-A1")], [(3, 6, "A2"), (7, 9, "C-A1")], (0, 2, 1)),
        ([(0, 1, "R-A0"), A0], [A0], (0, 1, 1)),  # of two with one extent the later counts: here R-A0
        ([A0], [A0, A0], (1, 1, 0)),  # a duplicate is in excess
        ([(0, 8, "A1"), (3, 5, "A2")], [(0, 8, "A1"), (3, 5, "A2")], (2, 0, 0)),  # nested
        ([], [A0], (0, 1, 0)),
        ([TMP], [], (0, 0, 1)),
    ],
)
def test_by_hand(gold, predicted, right_excess_missed):
    assert counted(gold, predicted) == right_excess_missed


def test_pieces_are_joined_in_the_order_of_the_text():
    roles = [(7, 9, "C-A1"), (0, 1, "A0"), (3, 6, "A1"), (10, 11, "C-A1"), (5, 6, "C-AM-LOC")]
    assert join_pieces(roles) == [
        ("A0", ((0, 1),)),
        ("A1", ((3, 6), (7, 9), (10, 11))),
        ("AM-LOC", ((5, 6),)),
    ]


def make_doc(predicates, roles):
    doc = Doc(NLP.vocab, words=list("abcdefghij"))
    doc.spans["predicates"] = [Span(doc, at, at + 1, label=lemma) for at, lemma in predicates]
    set_roles(doc, roles)
    return doc


def test_propositions_are_compared_by_their_predicates():
    gold = make_doc([(1, "see"), (4, "go"), (8, "be")], [[A0, (2, 3, "A1")], [A0], [TMP]])
    predicted = make_doc(
        [(6, "eat"), (8, ""), (4, "walk"), (1, "see")],  # without gold, without lemma, another lemma, the same
        [[A0, A1], [TMP, A1], [A0], [A0]],
    )
    scores = build_role_scorer_v1()([Example(predicted, gold)])
    right, excess, missed = 2, 1, 2
    precision, recall = right / (right + excess), right / (right + missed)
    assert (scores["srl_p"], scores["srl_r"]) == (pytest.approx(precision), pytest.approx(recall))
    assert scores["srl_f"] == pytest.approx(2 * precision * recall / (precision + recall))
    assert scores["srl_per_type"]["AM-TMP"] == {"p": 1.0, "r": 1.0, "f": 1.0}
    assert scores["srl_per_type"]["A0"] == {"p": 1.0, "r": 0.5, "f": pytest.approx(2 / 3)}


def test_without_gold_there_is_no_score():
    example = Example(make_doc([(1, "see")], [[A0]]), make_doc([], []))
    assert build_role_scorer_v1()([example])["srl_f"] is None


def test_a_pipeline_that_was_not_told_of_predicates_is_warned_of():
    example = Example(make_doc([], []), make_doc([(1, "see")], [[A0]]))
    with pytest.warns(UserWarning, match="PW31.*predicates"):
        assert build_role_scorer_v1()([example])["srl_r"] == 0.0
