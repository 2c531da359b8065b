"""Roles of predicates: learned, decoded around predicates and spaces, saved, and read in parts where there are many."""

import pytest
import spacy
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_ptv2.annotations.roles import set_roles
from spacy_ptv2.errors import PTuningError
from spacy_ptv2.pipeline import sequence_scores
from spacy_ptv2.pipeline.tag_schemes import TagScheme

from ..tiny import asked, save_tiny_backbone, task_block, train_task

TEXTS = {
    "peter opens  the danish\noffice in london": [(1, [(0, 1, "A0"), (3, 7, "A1"), (7, 9, "AM-LOC")])],
    "mary works and john opens a letter": [(1, [(0, 1, "A0")]), (4, [(3, 4, "A0"), (5, 7, "A1")])],
    "paris": [],
}


def gold_docs(nlp):
    docs = []
    for text, frames in TEXTS.items():
        doc = nlp.make_doc(text)
        doc.spans["predicates"] = [doc[at : at + 1] for at, _ in frames]
        set_roles(doc, [roles for _, roles in frames])
        docs.append(doc)
    return docs


def make_pipeline(folder, **settings):
    nlp = spacy.blank("en")
    nlp.add_pipe("role_labeler", config={"model": task_block(folder, "Predicate", **settings)})
    return nlp


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    nlp = make_pipeline(save_tiny_backbone(tmp_path_factory.mktemp("backbone"), "bert", deviation=0.15))
    losses = train_task(nlp, gold_docs(nlp), steps=200)
    assert losses[-1]["role_labeler"] < 0.1 < losses[0]["role_labeler"]
    return nlp


def roles_of(doc):
    return [[(role.start, role.end, role.label_) for role in frame.roles] for frame in doc._.frames]


EXPECTED = [[roles for _, roles in frames] for frames in TEXTS.values()]


def test_what_was_learned_comes_out(trained):
    docs = [asked(trained, gold) for gold in gold_docs(trained)]
    assert [roles_of(doc) for doc in trained.pipe(docs)] == EXPECTED
    scores = [score for frame in docs[0]._.frames for score in frame.scores]
    assert len(scores) == 3 and all(0.5 < score <= 1.0 for score in scores)
    assert trained.evaluate([Example(asked(trained, gold), gold) for gold in gold_docs(trained)])["srl_f"] == 1.0


def test_saved_and_loaded_it_finds_the_same(trained, tmp_path):
    trained.to_disk(tmp_path)
    nlp = spacy.load(tmp_path)
    assert [roles_of(nlp(asked(nlp, gold))) for gold in gold_docs(nlp)] == EXPECTED
    restored = spacy.blank("en").from_config(nlp.config).from_bytes(trained.to_bytes())
    assert [roles_of(restored(asked(restored, gold))) for gold in gold_docs(restored)] == EXPECTED


def test_many_predicates_are_read_in_parts(trained, monkeypatch):
    whole = roles_of(trained(asked(trained, gold_docs(trained)[1])))
    monkeypatch.setattr(sequence_scores, "MAX_BUFFERED_TOKENS", 8)
    doc = asked(trained, gold_docs(trained)[1])
    assert [roles_of(d) for d in trained.pipe([doc, trained.make_doc("paris")])] == [whole, []]


def test_predicates_by_rule(tiny_folder):
    nlp = make_pipeline(tiny_folder)
    train_task(nlp, gold_docs(nlp), steps=1)
    labeler = nlp.get_pipe("role_labeler")
    labeler.find_predicates = lambda doc: [token.doc[token.i : token.i + 1] for token in doc if token.text == "opens"]
    doc = nlp("mary works and john opens a letter")
    assert [frame.predicate.text for frame in doc._.frames] == ["opens"]
    doc = nlp.make_doc("mary works and john opens a letter")
    doc.spans["predicates"] = [doc[1:2]]
    assert [frame.predicate.text for frame in nlp(doc)._.frames] == ["works"]  # those that are given stay


def test_sentences_bound_what_is_read(tiny_folder):
    nlp = make_pipeline(tiny_folder)
    train_task(nlp, gold_docs(nlp), steps=1)
    labeler = nlp.get_pipe("role_labeler")
    doc = Doc(nlp.vocab, words="john works . mary opens letter .".split(), sent_starts=[1, 0, 0, 1, 0, 0, 0])
    doc.spans["predicates"] = [doc[4:5]]
    (sequence,) = labeler.layout([doc])
    assert sequence.body.text == "mary opens letter ."
    alone = nlp.make_doc("mary opens letter .")
    alone.spans["predicates"] = [alone[1:2]]
    together, apart = (labeler.model.predict([own])[0] for own in (doc, alone))
    assert together == pytest.approx(apart, abs=1e-5)


def test_context_bounds_what_is_read_where_there_are_no_sentences(tiny_folder):
    nlp = make_pipeline(tiny_folder, context=2)
    doc = nlp.make_doc("a b c d e f g h")
    doc.spans["predicates"] = [doc[0:1], doc[4:5], doc[7:8]]
    bodies = [sequence.body.text for sequence in nlp.get_pipe("role_labeler").layout([doc])]
    assert bodies == ["a b c", "c d e f g", "f g h"]


def test_the_predicate_takes_no_role_and_none_goes_over_it(trained):
    """Whatever the scores: here each tag at random."""
    labeler = trained.get_pipe("role_labeler")
    doc = trained.make_doc("mary works  and\njohn opens a letter " * 5)
    doc.spans["predicates"] = [Span(doc, i, i + 1) for i, token in enumerate(doc) if token.text == "opens"]
    output = labeler.model.get_ref("output_layer")
    weights = output.get_param("W")
    output.set_param("W", labeler.model.ops.xp.random.default_rng(0).normal(size=weights.shape).astype("float32") * 3)
    try:
        labeled = labeler(doc)
    finally:
        output.set_param("W", weights)
    for frame in labeled._.frames:
        assert frame.roles
        for role in frame.roles:
            assert not role.start <= frame.predicate.start < role.end
            assert not role[0].is_space and not role[-1].is_space


def test_gold_without_predicates_of_its_own_teaches_nothing(tiny_folder):
    nlp = make_pipeline(tiny_folder)
    train_task(nlp, gold_docs(nlp), steps=1)
    doc = nlp.make_doc("mary works")
    doc.spans["predicates"] = [doc[1:2]]
    labeler = nlp.get_pipe("role_labeler")
    before = labeler.model.get_ref("output_layer").get_param("W").copy()
    assert labeler.update([Example(doc, nlp.make_doc("mary works"))])["role_labeler"] == 0.0
    assert (before == labeler.model.get_ref("output_layer").get_param("W")).all()


def test_sizes_are_known_however_late_the_first_predicate_comes(tiny_folder):
    nlp = make_pipeline(tiny_folder)
    train_task(nlp, [*(nlp.make_doc("paris") for _ in range(12)), *gold_docs(nlp)], steps=1)
    assert nlp.get_pipe("role_labeler").model.get_ref("output_layer").get_dim("nO") == 7
    nlp = make_pipeline(tiny_folder)
    labeler = nlp.get_pipe("role_labeler")
    labeler.initialize(lambda: [Example(nlp.make_doc("paris"), nlp.make_doc("paris"))], nlp=nlp, labels=["A0"])
    assert labeler.model.get_ref("output_layer").get_param("W").shape == (3, 32)


def test_labels(tiny_folder):
    nlp = make_pipeline(tiny_folder)
    train_task(nlp, gold_docs(nlp), steps=1)
    labeler = nlp.get_pipe("role_labeler")
    assert labeler.labels == ("A0", "A1", "AM-LOC")
    assert labeler.outputs == TagScheme("iob2", labeler.labels).tags
    gold = gold_docs(nlp)[0]
    set_roles(gold, [[(0, 1, "A5")]])
    with pytest.raises(PTuningError, match="P401.*'A5'.*A0, A1, AM-LOC"):
        labeler.update([Example(nlp.make_doc(gold.text), gold)])


def test_another_layout_is_refused(tiny_folder):
    nlp = spacy.blank("en")
    with pytest.raises(PTuningError, match="P441.*'role_labeler'.*PredicateLayout, got QuestionLayout"):
        nlp.add_pipe("role_labeler", config={"model": task_block(tiny_folder, "Question")})
    tok2vec = {"@architectures": "spacy.HashEmbedCNN.v2", "width": 8, "depth": 1, "embed_size": 10, "window_size": 1}
    tok2vec |= {"maxout_pieces": 2, "subword_features": True, "pretrained_vectors": None}
    model = {"@architectures": "spacy_ptv2.TokenClassifier.v1", "tok2vec": tok2vec}
    with pytest.raises(PTuningError, match="P441"):
        nlp.add_pipe("role_labeler", config={"model": model})
