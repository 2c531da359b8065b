"""What counts as right, missed, spurious, wrongly labelled or wrongly bounded, and that spaCy's scorer agrees."""

import random

import pytest
import spacy
from spacy.scorer import Scorer, get_ner_prf
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example

from spacy_ptv2.reports import classes, excerpts, measured
from spacy_ptv2.reports.spans import ENTITIES, Found, match, match_examples

nlp = spacy.blank("en")
LABELS = ("PER", "LOC", "ORG")


def kinds(gold, predicted):
    return [
        (own.kind, own.gold and own.gold[:3], own.predicted and own.predicted[:3])
        for own in match([Found(*span) for span in gold], [Found(*span) for span in predicted])
    ]


@pytest.mark.parametrize(
    ("gold", "predicted", "kind"),
    [
        ((0, 2, "PER"), (0, 2, "PER"), "right"),
        ((0, 2, "PER"), (0, 2, "LOC"), "label"),
        ((0, 2, "PER"), (1, 2, "PER"), "boundaries"),
        ((0, 2, "PER"), (1, 4, "LOC"), "boundaries"),
    ],
)
def test_kinds_of_pairs(gold, predicted, kind):
    assert kinds([gold], [predicted]) == [(kind, gold, predicted)]


def test_what_has_no_partner():
    assert kinds([(0, 2, "PER")], [(2, 3, "PER")]) == [
        ("missed", (0, 2, "PER"), None),
        ("spurious", None, (2, 3, "PER")),
    ]
    assert kinds([], []) == []


def test_the_nearest_partner_is_taken_once():
    gold = [(0, 4, "PER"), (5, 6, "LOC")]
    predicted = [(0, 1, "LOC"), (1, 4, "PER"), (5, 6, "LOC")]
    assert kinds(gold, predicted) == [
        ("spurious", None, (0, 1, "LOC")),
        ("boundaries", (0, 4, "PER"), (1, 4, "PER")),
        ("right", (5, 6, "LOC"), (5, 6, "LOC")),
    ]


def random_spans(rng, n_tokens):
    spans, start = [], 0
    while start < n_tokens:
        end = min(n_tokens, start + rng.randint(1, 3))
        if rng.random() < 0.6:
            spans.append((start, end, rng.choice(LABELS)))
        start = end
    return spans


def example_of(words, gold, predicted, predicted_words=None, scores=None):
    docs = [Doc(nlp.vocab, words=own) for own in (predicted_words or words, words)]
    for doc, spans in zip(docs, (predicted, gold), strict=True):
        doc.set_ents([Span(doc, *span) for span in spans])
    if scores is not None:
        docs[0].spans["ents"] = SpanGroup(docs[0], name="ents", spans=docs[0].ents, attrs={"scores": scores})
    return Example(*docs)


def test_scores_are_those_of_spacy():
    """Random entities, half of them over differently tokenised texts, some tokens without annotation."""
    rng = random.Random(0)
    examples = []
    for number in range(60):
        words = [f"w{i}" for i in range(rng.randint(0, 9))]
        split = [part for word in words for part in (("w", word[1:]) if number % 2 else (word,))]
        example = example_of(words, random_spans(rng, len(words)), random_spans(rng, len(split)), split)
        if words and number % 5 == 0:
            gold = example.reference
            gold.set_ents([], missing=[gold[0:1]], default="unmodified")
        examples.append(example)
    scores = get_ner_prf(examples)
    (found,) = measured.measure(scores, examples)
    own = found.scores.overall
    assert (own.precision.value, own.recall.value, own.f1.value) == (
        pytest.approx(scores["ents_p"]),
        pytest.approx(scores["ents_r"]),
        pytest.approx(scores["ents_f"]),
    )
    for row in found.scores.labels:
        assert row.f1.value == pytest.approx(scores["ents_per_type"][row.label]["f"])
    assert 0.0 < own.f1.value < 1.0


def test_span_groups_may_overlap():
    gold, predicted = nlp.make_doc("New York Times reporters"), nlp.make_doc("New York Times reporters")
    gold.spans["sc"] = [Span(gold, 0, 2, "LOC"), Span(gold, 0, 3, "ORG"), Span(gold, 0, 3, "NEWS")]
    spans = [Span(predicted, 0, 2, "LOC"), Span(predicted, 0, 3, "ORG"), Span(predicted, 2, 4, "PER")]
    predicted.spans["sc"] = SpanGroup(predicted, name="sc", spans=spans, attrs={"scores": [0.9, 0.8, 0.7]})
    examples = [Example(predicted, gold)]
    scores = Scorer.score_spans(
        examples, "spans_sc", getter=lambda doc, _: doc.spans["sc"], has_annotation=lambda doc: True, allow_overlap=True
    )
    (found,) = measured.measure(scores, examples)
    assert found.scores.overall.f1.value == pytest.approx(scores["spans_sc_f"]) == pytest.approx(4 / 6)
    assert found.calibration.n == 3
    assert [own.kind for own in match_examples(examples, "sc")[0].matches] == ["right", "right", "boundaries"]
    assert found.excerpts[0].gold.count("<mark") == 1  # only one of those that overlap can be drawn


def test_confidences_and_confusion():
    words = ["Mary", "saw", "Rome", "and", "Acme"]
    gold, predicted = [(0, 1, "PER"), (2, 3, "LOC"), (4, 5, "ORG")], [(0, 1, "PER"), (2, 3, "PER"), (3, 5, "ORG")]
    examples = [example_of(words, gold, predicted, scores=[0.9, 0.6, 0.7])]
    (found,) = measured.measure(get_ner_prf(examples), examples)
    assert (found.calibration.n, found.calibration.right) == (3, pytest.approx(1 / 3))
    table = found.confusion
    cell = {(r, c): table.table[i][j] for i, r in enumerate(table.rows) for j, c in enumerate(table.columns)}
    assert {place: n for place, n in cell.items() if n} == {
        ("PER", "PER"): 1,
        ("LOC", "PER"): 1,
        ("ORG", "missed"): 1,
        ("spurious", "ORG"): 1,
    }
    assert (found.kinds, found.labels) == (
        {"label": "wrong label", "boundaries": "wrong boundaries"},
        ["LOC", "ORG", "PER"],
    )


def test_without_confidences_there_is_no_calibration():
    examples = [example_of(["Mary"], [(0, 1, "PER")], [])]
    (found,) = measured.measure(get_ner_prf(examples), examples)
    assert found.calibration is None
    assert match_examples(examples, ENTITIES)[0].matches[0].kind == "missed"


def classified(gold, predicted, text="A text."):
    reference, doc = nlp.make_doc(text), nlp.make_doc(text)
    reference.cats, doc.cats = gold, predicted
    return Example(doc, reference)


def test_classes():
    examples = [
        classified({"yes": 1.0, "no": 0.0}, {"yes": 0.9, "no": 0.1}),
        classified({"yes": 1.0, "no": 0.0}, {"yes": 0.3, "no": 0.7}),
        classified({"yes": 0.0, "no": 1.0}, {"yes": 0.2, "no": 0.8}),
        classified({"yes": 0.0, "no": 0.0}, {"yes": 0.9, "no": 0.1}),  # says nothing
        classified({}, {"yes": 0.9, "no": 0.1}),
    ]
    (found,) = measured.measure({"cats_acc": 2 / 3}, examples)
    assert (found.main[0], found.main[1].value, found.scores.n_docs) == ("accuracy", pytest.approx(2 / 3), 3)
    assert (found.confusion.rows, found.confusion.table) == (["no", "yes"], [[1, 0], [1, 1]])
    assert found.calibration.mean == pytest.approx(0.8)
    (wrong,) = found.wrong
    assert (wrong.judged.number, wrong.judged.gold, wrong.judged.predicted) == (1, "yes", "no")
    assert (found.kinds, found.n_errors) == ({"class": "wrong class"}, 1)


def test_several_classes_at_a_time():
    examples = [
        classified({"a": 1.0, "b": 1.0, "c": 0.0}, {"a": 0.9, "b": 0.2, "c": 0.6}),
        classified({"a": 0.0}, {"a": 0.1}),
    ]
    (found,) = measured.measure({"cats_score": 0.5}, examples)
    assert {row.label: row.f1.value for row in found.scores.labels} == {"a": 1.0, "b": 0.0, "c": 0.0}
    assert (found.confusion, found.calibration.n) == (None, 4)
    assert not classes.are_exclusive(examples)


def test_what_is_not_scored_is_not_measured():
    examples = [example_of(["Mary"], [(0, 1, "PER")], [])]
    assert measured.measure({"ents_f": None, "tag_acc": 0.9, "spans_predicates_f": 0.5}, examples) == []
    scores = {"srl_f": 0.5, "srl_per_type": {"A0": {"f": 0.5}}, "ents_per_type": {"PER": {"f": 0.1}}, "cats_acc": None}
    assert measured.other_scores(scores) == ([("srl_f", 0.5)], [("srl", {"A0": {"f": 0.5}})])


# Excerpts.


def drawn(text, gold=(), predicted=()):
    doc, found = nlp.make_doc(text), nlp.make_doc(text)
    for target, spans in ((doc, gold), (found, predicted)):
        target.set_ents(
            [target.char_span(text.index(part), text.index(part) + len(part), label) for part, label in spans]
        )
    return excerpts.excerpts(match_examples([Example(found, doc)], ENTITIES))


def test_an_excerpt_escapes_texts_and_labels():
    (excerpt,), n = drawn('Mary <img src=x onerror="alert(1)">', [("Mary", "<script>alert(2)</script>{text}")])
    assert n == 1
    for markup in (excerpt.gold, excerpt.predicted):
        assert "<img" not in markup and "<script" not in markup
    assert "&lt;script&gt;alert(2)&lt;/script&gt;{text} · missed" in excerpt.gold
    assert "&lt;img src=x onerror=&quot;alert(1)&quot;&gt;" in excerpt.predicted


def test_an_excerpt_of_a_long_doc_is_short():
    (first, second), n = drawn(
        "x " * 500 + "Mary" + " y" * 500 + " Rome " + "z " * 500, [("Mary", "PER"), ("Rome", "LOC")]
    )
    assert n == 2
    assert (first.before, first.after, first.topics) == (True, True, [("missed", "PER")])
    assert max(map(len, (first.gold, second.gold))) < excerpts.LONGEST
    (long,), _ = drawn("Mary " * 400, [("Mary " * 399 + "Mary", "PER")])
    assert len(long.gold) < excerpts.LONGEST + 200


def test_right_spans_are_shown_beside_wrong_ones_and_good_docs_not_at_all():
    (excerpt,), _ = drawn("Mary saw Rome", [("Mary", "PER"), ("Rome", "LOC")], [("Mary", "PER"), ("Rome", "ORG")])
    assert '<mark class="right">Mary<span class="label">PER</span></mark>' in excerpt.gold
    assert 'class="label">Rome' in excerpt.predicted
    assert drawn("Mary", [("Mary", "PER")], [("Mary", "PER")]) == ([], 0)


@pytest.mark.parametrize("text", ["Mary\n\n\tAnn  left", "מרים הלכה לרומא", "👩‍👩‍👧 saw Ann\u00a0Lee", " \n Ann"])
def test_messy_texts(text):
    part = text.split()[-1]
    (excerpt,), _ = drawn(text, [(part, "X")])
    assert f"{part}<span" in excerpt.gold


def test_of_many_errors_every_topic_is_shown():
    items = [("missed", "PER")] * 1000 + [("spurious", "RARE")]
    chosen = excerpts.select(items, lambda item: [item])
    assert len(chosen) == excerpts.MOST
    assert chosen[-1] == ("spurious", "RARE")
    assert excerpts.select(items[:3], lambda item: [item]) == items[:3]
