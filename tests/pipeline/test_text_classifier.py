"""Classes of texts and of pairs, and choices among texts: learned, saved, and refused where gold makes no sense."""

import pytest
import spacy
from spacy.training import Example

from spacy_ptv2.errors import PTuningError
from spacy_ptv2.pipeline import sequence_scores
from spacy_ptv2.pipeline.predicates import build_pos_predicates_v1
from spacy_ptv2.scoring.classes import score_classes

from ..tiny import asked, save_tiny_backbone, task_block, train_task

TEXTS = {"peter opens the\noffice": "work", "a letter from  mary": "post", "john works": "work", "the letter": "post"}
PAIRS = [("peter opens it", "peter", "yes"), ("peter opens it", "mary", "no"), ("mary works", "mary", "yes")]
CHOICES = [
    ("where is john ?", ["in paris", "a letter"], 0),
    ("what is it ?", ["in london", "a letter", "peter"], [1, 2]),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_backbone(tmp_path_factory.mktemp("backbone"), "bert", deviation=0.15)


def make_pipeline(folder, factory, layout, rows="sequence", **config):
    nlp = spacy.blank("en")
    block = task_block(folder, layout, rows=rows)
    nlp.add_pipe(factory, config={"model": block, **config})
    return nlp


def labelled(doc, label, labels):
    doc.cats = {other: float(other == label) for other in labels}
    return doc


def gold_texts(nlp):
    return [labelled(nlp.make_doc(text), label, ("post", "work")) for text, label in TEXTS.items()]


def gold_pairs(nlp):
    docs = []
    for text, second, label in PAIRS:
        doc = labelled(nlp.make_doc(text), label, ("no", "yes"))
        doc._.second_text = second
        docs.append(doc)
    return docs


def gold_choices(nlp):
    docs = []
    for text, choices, right in CHOICES:
        doc = nlp.make_doc(text)
        doc._.second_text, doc._.choice = choices, right
        docs.append(doc)
    return docs


CASES = {
    "text": ("text_classifier", "Doc", gold_texts, {}),
    "pair": ("pair_classifier", "Pair", gold_pairs, {}),
    "choice": ("pair_classifier", "Pair", gold_choices, {"choices": True}),
}


@pytest.fixture(scope="module", params=CASES)
def trained(request, folder):
    factory, layout, gold, config = CASES[request.param]
    nlp = make_pipeline(folder, factory, layout, **config)
    losses = train_task(nlp, gold(nlp), steps=150)
    assert losses[-1][factory] < 0.1 < losses[0][factory]
    return nlp, gold


def score(nlp, gold):
    scores = nlp.evaluate([Example(asked(nlp, doc), doc) for doc in gold(nlp)])
    return scores["cats_acc"], scores["choice_acc"]


def test_what_was_learned_comes_out(trained):
    nlp, gold = trained
    assert score(nlp, gold) in ((1.0, None), (None, 1.0))
    for doc in nlp.pipe([asked(nlp, own) for own in gold(nlp)]):
        probabilities = list(doc.cats.values()) or doc._.choice_scores
        assert sum(probabilities) == pytest.approx(1.0, abs=1e-5)


def test_saved_and_loaded_it_says_the_same(trained, tmp_path):
    nlp, gold = trained
    nlp.to_disk(tmp_path)
    assert score(spacy.load(tmp_path), gold) == score(nlp, gold)


def test_read_in_parts_it_says_the_same(trained, monkeypatch):
    nlp, gold = trained
    monkeypatch.setattr(sequence_scores, "MAX_BUFFERED_TOKENS", 4)
    assert score(nlp, gold) in ((1.0, None), (None, 1.0))


def test_classes_of_other_components_stay(folder):
    nlp = make_pipeline(folder, "text_classifier", "Doc")
    train_task(nlp, gold_texts(nlp), steps=1)
    doc = nlp.make_doc("the letter")
    doc.cats = {"other": 0.25}
    assert set(nlp(doc).cats) == {"other", "post", "work"} and doc.cats["other"] == 0.25


def test_marked_words_side_by_side(folder):
    nlp = spacy.blank("en")
    block = {**task_block(folder, "Pair", rows="spans"), "rows_per_sequence": 2}
    nlp.add_pipe("pair_classifier", config={"model": block})
    doc = labelled(nlp.make_doc("a letter of john . john works"), "yes", ("no", "yes"))
    doc.spans["texts"] = [doc[:5], doc[5:]]
    doc.spans["marked"] = [doc[3:4], doc[5:6]]
    train_task(nlp, [doc], steps=2)
    assert nlp.get_pipe("pair_classifier").model.get_ref("output_layer").get_dim("nI") == 64
    restored = spacy.blank("en").from_config(nlp.config).from_bytes(nlp.to_bytes())
    assert restored(asked(restored, doc)).cats == pytest.approx(nlp(asked(nlp, doc)).cats)
    doc.spans["marked"] = [doc[3:4]]
    with pytest.raises(PTuningError, match="P443.*Expected 2 rows.*got 1"):
        nlp(asked(nlp, doc))


def test_gold_that_makes_no_sense(folder):
    nlp = make_pipeline(folder, "pair_classifier", "Pair")
    train_task(nlp, gold_pairs(nlp), steps=1)
    pipe = nlp.get_pipe("pair_classifier")
    both, several, unknown, none = (gold_pairs(nlp)[0] for _ in range(4))
    both.cats = {"yes": 1.0, "no": 1.0}
    several._.second_text = ["a", "b"]
    unknown.cats = {"maybe": 1.0}
    none.cats = {}
    for doc, code in ((both, "P444.*no, yes|P444.*yes, no"), (several, "P445.*makes 2"), (unknown, "P401.*'maybe'")):
        with pytest.raises(PTuningError, match=code):
            pipe.update([Example(nlp.make_doc(doc.text), doc)])
    assert pipe.update([Example(nlp.make_doc(none.text), none)])["pair_classifier"] == 0.0


def test_gold_choices_that_make_no_sense(folder):
    nlp = make_pipeline(folder, "pair_classifier", "Pair", choices=True)
    with pytest.raises(PTuningError, match=r"P446.*doc\._\.choice"):
        nlp.initialize(lambda: [Example(asked(nlp, doc), doc) for doc in gold_pairs(nlp)])
    train_task(nlp, gold_choices(nlp), steps=1)
    doc = gold_choices(nlp)[0]
    doc._.choice = 2
    with pytest.raises(PTuningError, match="P447.*gold choice 2.*has 2 choices"):
        nlp.get_pipe("pair_classifier").update([Example(nlp.make_doc(doc.text), doc)])


def test_scores_by_hand():
    nlp = spacy.blank("en")
    examples = []
    for gold, predicted in (("a", "a"), ("a", "b"), ("b", "b"), ("c", "b")):
        reference, found = nlp.make_doc("x"), nlp.make_doc("x")
        reference.cats = {label: float(label == gold) for label in "abc"}
        found.cats = {label: 0.8 if label == predicted else 0.1 for label in "abc"}
        examples.append(Example(found, reference))
    scores = score_classes(examples)
    f1 = {"a": 2 / 3, "b": 1 / 2, "c": 0.0}
    assert scores["cats_acc"] == 0.5 and scores["cats_macro_f"] == pytest.approx(sum(f1.values()) / 3)
    assert {label: own["f"] for label, own in scores["cats_f_per_type"].items()} == pytest.approx(f1)


def test_predicates_by_part_of_speech():
    doc = spacy.blank("en").make_doc("kim reads and is")
    for token, pos in zip(doc, ("PROPN", "VERB", "CCONJ", "AUX"), strict=True):
        token.pos_ = pos
    assert [span.text for span in build_pos_predicates_v1()(doc)] == ["reads"]
    assert [span.text for span in build_pos_predicates_v1(["VERB", "AUX"])(doc)] == ["reads", "is"]
