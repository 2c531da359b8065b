"""Predicates and roles of raw text: found, learned from the same corpus, kept where they are given, saved, scored."""

import pytest
import spacy
from spacy.tokens import DocBin
from spacy.training import Example

from spacy_ptv2.annotations.roles import set_roles
from spacy_ptv2.errors import PTuningError
from spacy_ptv2.packaging.sample import make_sample
from spacy_ptv2.scoring.roles import score_predicates

from ..tiny import SMALL, option_blocks, save_tiny_backbone, task_block, train_task

# Each with predicates and roles; messy, as raw text is.
TEXTS = {
    "peter opens  the danish\noffice in london": [(1, [(0, 1, "A0"), (3, 7, "A1"), (7, 9, "AM-LOC")])],
    "mary works\tand john\n\nopens a letter": [(1, [(0, 1, "A0")]), (6, [(4, 5, "A0"), (7, 9, "A1")])],
    "paris": [],
    " \n ": [],
}
LEMMAS = {"opens": "open", "works": "work"}


def gold_docs(nlp):
    docs = []
    for text, frames in TEXTS.items():
        doc = nlp.make_doc(text)
        spans = [doc[at : at + 1] for at, _ in frames]
        doc.spans["predicates"] = [spacy.tokens.Span(doc, s.start, s.end, label=LEMMAS[s.text]) for s in spans]
        set_roles(doc, [roles for _, roles in frames])
        docs.append(doc)
    return docs


def make_pipeline(folder, *before):
    nlp = spacy.blank("en")
    backbone = {"@misc": "spacy_ptv2.Backbone.v1", "name": str(folder)}
    tok2vec = {"@architectures": "spacy_ptv2.Tok2VecPTuning.v1", "backbone": backbone, **option_blocks(**SMALL)}
    for name in before:
        nlp.add_pipe(name)
    model = {"@architectures": "spacy_ptv2.TokenClassifier.v1", "tok2vec": tok2vec}
    nlp.add_pipe("predicate_finder", config={"model": model})
    nlp.add_pipe("role_labeler", config={"model": task_block(folder, "Predicate")})
    return nlp


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_backbone(tmp_path_factory.mktemp("backbone"), "bert", deviation=0.15)


@pytest.fixture(scope="module")
def trained(folder):
    nlp = make_pipeline(folder)
    losses = train_task(nlp, gold_docs(nlp), steps=200)
    for name in ("predicate_finder", "role_labeler"):
        assert losses[-1][name] < 0.1 < losses[0][name]
    return nlp


def frames_of(doc):
    frames = doc._.frames
    return [(f.predicate.start, [(role.start, role.end, role.label_) for role in f.roles]) for f in frames]


EXPECTED = list(TEXTS.values())


def test_raw_text_gets_frames(trained):
    docs = list(trained.pipe(TEXTS))
    assert [frames_of(doc) for doc in docs] == EXPECTED
    group = docs[1].spans["predicates"]
    assert all(0.5 < score <= 1.0 for score in group.attrs["scores"]) and len(group.attrs["scores"]) == 2
    assert [span.label_ for span in group] == ["", ""]
    assert [frames_of(trained(text)) for text in TEXTS] == EXPECTED


def test_saved_and_loaded_it_finds_the_same(trained, tmp_path):
    trained.to_disk(tmp_path)
    assert [frames_of(doc) for doc in spacy.load(tmp_path).pipe(TEXTS)] == EXPECTED


def test_scores_of_what_is_found(trained):
    """The gold lemmas, which nobody predicts, do not count against it."""
    examples = [Example(trained.make_doc(gold.text), gold) for gold in gold_docs(trained)]
    scores = trained.evaluate(examples)
    assert scores["spans_predicates_f"] == scores["srl_f"] == 1.0
    found = trained.make_doc(next(iter(TEXTS)))
    found.spans["predicates"] = [found[1:2], found[4:5]]
    scores = score_predicates([Example(found, gold_docs(trained)[0])], spans_key="predicates")
    assert (scores["spans_predicates_p"], scores["spans_predicates_r"]) == (0.5, 1.0)


def test_the_sample_of_a_package_is_of_what_is_found(trained):
    (prediction,) = make_sample(trained, [next(iter(TEXTS))])["predictions"]
    assert prediction["spans"]["predicates"] == [[1, 2, ""]]


def test_predicates_that_are_given_stay(trained):
    doc = trained.make_doc("mary works and john opens a letter")
    doc.spans["predicates"] = [doc[4:5]]
    assert [frame.predicate.text for frame in trained(doc)._.frames] == ["opens"]


def test_entities_do_not_hide_predicates(trained):
    doc = trained.make_doc("mary works and john opens a letter")
    doc.set_ents([spacy.tokens.Span(doc, 0, 2, label="X")], blocked=[doc[4:5]])
    assert [frame.predicate.text for frame in trained(doc)._.frames] == ["works", "opens"]


def test_a_pass_ahead_changes_nothing(trained):
    """Roles cannot be read ahead, for their predicates are not known then."""
    alone = [frames_of(doc) for doc in trained.pipe(TEXTS)]
    trained.add_pipe("shared_backbone", first=True)
    try:
        assert [frames_of(doc) for doc in trained.pipe(TEXTS)] == alone
    finally:
        trained.remove_pipe("shared_backbone")


def test_a_threshold_leaves_doubtful_ones_out(trained):
    finder = trained.get_pipe("predicate_finder")
    finder.cfg["threshold"] = 1.0
    try:
        assert len(trained("mary works in paris").spans["predicates"]) == 0
    finally:
        finder.cfg["threshold"] = 0.0


def test_gold_without_the_group_teaches_nothing_and_an_empty_one_does(folder, tmp_path):
    nlp = make_pipeline(folder)
    train_task(nlp, gold_docs(nlp), steps=1)
    finder = nlp.get_pipe("predicate_finder")
    unknown, none = nlp.make_doc("mary works"), nlp.make_doc("mary works")
    none.spans["predicates"] = []
    DocBin(docs=[unknown, none]).to_disk(tmp_path / "docs.spacy")
    unknown, none = DocBin().from_disk(tmp_path / "docs.spacy").get_docs(nlp.vocab)
    losses = [finder.update([Example(nlp.make_doc(doc.text), doc)])["predicate_finder"] for doc in (unknown, none)]
    assert losses[0] == 0.0 < losses[1]


def test_a_corpus_without_predicates(folder):
    nlp = make_pipeline(folder)
    with pytest.raises(PTuningError, match="P402.*'predicate_finder'"):
        nlp.initialize(lambda: [Example(nlp.make_doc("paris"), nlp.make_doc("paris"))])
