"""Questions on Docs: learned, over windows, without an answer, in batches, and where there are many."""

from itertools import pairwise

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Span
from spacy.training import Example

from spacy_ptv2.annotations.answers import answers_of, gold_answer
from spacy_ptv2.annotations.roles import set_roles
from spacy_ptv2.errors import FormatError, PTuningError
from spacy_ptv2.layers import tok2vec_ptuning
from spacy_ptv2.pipeline import joint_reading, sequence_scores
from spacy_ptv2.pipeline.answer_spans import best_spans

from ..tiny import asked, save_tiny_backbone, task_block, train_task

TEXTS = {
    "peter opens  the danish\noffice in london": {"who ?": "peter", "where ?": "london", "why ?": None},
    "a letter from mary in paris": {"who ?": "mary", "where ?": "paris"},
}
LONG = "the garden of the office was in the garden " * 4 + "and john works in denmark " + "as a letter was " * 8


def gold_docs(nlp, texts=TEXTS, **extra):
    docs = []
    for text, questions in {**texts, **extra}.items():
        doc = nlp.make_doc(text)
        doc._.questions = list(questions)
        doc._.answers = [[gold_answer(a, text.index(a))] if a else [] for a in questions.values()]
        docs.append(doc)
    return docs


def make_pipeline(folder, model=None, **config):
    nlp = spacy.blank("en")
    config["model"] = task_block(folder, "Question", **(model or {}))
    nlp.add_pipe("question_answerer", config=config)
    return nlp


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    nlp = make_pipeline(save_tiny_backbone(tmp_path_factory.mktemp("backbone"), "bert", deviation=0.15))
    losses = train_task(nlp, gold_docs(nlp, **{LONG: {"where ?": "denmark"}}), steps=200)
    assert losses[-1]["question_answerer"] < 0.1 < losses[0]["question_answerer"]
    return nlp


def test_what_was_learned_comes_out(trained):
    gold = gold_docs(trained, **{LONG: {"where ?": "denmark"}})
    docs = list(trained.pipe([asked(trained, doc) for doc in gold]))
    assert len(trained.get_pipe("question_answerer").model.get_ref("tok2vec").predict(docs)) == 6
    for doc, reference in zip(docs, gold, strict=True):
        for found, right in zip(answers_of(doc), answers_of(reference), strict=True):
            (answer,) = found
            assert doc.text[answer["start"] : answer["end"]] == answer["answer"]
            assert answer["answer"] == (right[0]["answer"] if right else "")
            assert 0.5 < answer["score"] <= 1.0
    assert docs[0]._.no_answer == pytest.approx([0.0, 0.0, 1.0], abs=0.2)
    scores = trained.evaluate([Example(asked(trained, doc), doc) for doc in gold])
    assert scores["qa_f1"] == scores["qa_exact"] == scores["qa_no_answer_exact"] == 1.0


def test_asking_directly(trained):
    answerer = trained.get_pipe("question_answerer")
    doc = trained.make_doc("a letter from mary in paris")
    other = trained.make_doc("peter opens  the danish\noffice in london")
    assert answerer.answer("who ?", doc)["answer"] == "mary"
    assert [a["answer"] for a in answerer.answer(["who ?", "where ?"], doc)] == ["mary", "paris"]
    assert [a["answer"] for a in answerer.answer("who ?", [doc, other])] == ["mary", "peter"]
    both = answerer.answer(["where ?", "who ?"], [doc, other])
    assert [[a["answer"] for a in own] for own in both] == [["paris", "mary"], ["london", "peter"]]
    assert doc._.questions is None and doc._.answers is None  # it stays as it is
    assert answerer.answer([], doc) == []


def test_many_questions_are_read_in_parts(trained, monkeypatch):
    answerer = trained.get_pipe("question_answerer")
    doc = trained.make_doc("a letter from mary in paris")
    questions = ["who ?", "where ?"] * 5
    whole = answerer.answer(questions, doc)
    monkeypatch.setattr(sequence_scores, "MAX_BUFFERED_TOKENS", 20)
    in_parts = answerer.answer(questions, [doc, doc])
    for parts in in_parts:
        assert [(a["answer"], a["start"]) for a in parts] == [(a["answer"], a["start"]) for a in whole]


def test_saved_and_loaded_it_answers_the_same(trained, tmp_path):
    trained.to_disk(tmp_path)
    nlp = spacy.load(tmp_path)
    assert nlp.get_pipe("question_answerer").may_be_none
    assert nlp.get_pipe("question_answerer").answer("who ?", nlp.make_doc("a letter from mary in paris"))["start"] == 14
    config = {"components": {"question_answerer": {"n_best": 3, "threshold": 1.0}}}
    doc = asked(nlp, gold_docs(nlp)[0])
    answers = answers_of(spacy.load(tmp_path, config=config)(doc))
    assert [len(own) for own in answers] == [3, 3, 3] and answers[2][0]["answer"]  # above 1 there is nothing
    assert all(a["score"] >= b["score"] for own in answers for a, b in pairwise(own))


def test_without_unanswerable_questions_there_is_always_an_answer(tiny_folder):
    nlp = make_pipeline(tiny_folder)
    train_task(nlp, gold_docs(nlp)[1:], steps=1)
    answerer = nlp.get_pipe("question_answerer")
    assert not answerer.may_be_none
    assert answerer.answer("why ?", nlp.make_doc("mary"))["answer"] == "mary"
    assert nlp(asked(nlp, gold_docs(nlp)[0]))._.no_answer == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("text", ["", " \n "])
def test_an_empty_context_has_no_answer(trained, text):
    answerer = trained.get_pipe("question_answerer")
    assert answerer.answer("who ?", trained.make_doc(text)) == {"answer": "", "score": 1.0, "start": 0, "end": 0}


def test_a_doc_without_questions_stays_without_answers(trained):
    doc = trained("a letter from mary")
    assert doc._.answers is None and doc._.no_answer is None


def test_a_corpus_without_questions_is_refused(tiny_folder):
    nlp = make_pipeline(tiny_folder)
    doc = nlp.make_doc("a letter")
    with pytest.raises(PTuningError, match=r"P442.*doc\._\.questions"):
        nlp.initialize(lambda: [Example(nlp.make_doc(doc.text), doc)])


@pytest.mark.parametrize(
    ("name", "value"),
    [("no_answer", "maybe"), ("n_best", 0), ("longest", 2.5), ("threshold", 1.5), ("threshold", True)],
)
def test_settings_that_cannot_be(trained, name, value):
    with pytest.raises((PTuningError, ValueError), match=f"P407.*{name}|{name}"):
        make_pipeline("x", **{name: value})
    cfg = {**trained.get_pipe("question_answerer").cfg, name: value}
    with pytest.raises(FormatError, match=f"P641.*{name}"):
        trained.get_pipe("question_answerer").check_cfg(cfg, "cfg")


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 7), st.integers(1, 4), st.integers(1, 30), st.booleans(), st.integers(0, 1000))
def test_best_spans_are_those_of_enumeration(n_words, longest, n_best, may_be_none, seed):
    random = np.random.default_rng(seed)
    logits = random.normal(size=(n_words * 2, 2)).astype("float32")
    words = np.sort(random.choice(n_words * 2, n_words, replace=False))
    found = best_spans(logits, words, n_best=n_best, longest=longest, may_be_none=may_be_none)
    rows = np.vstack([logits[words], np.zeros((1, 2))]) if may_be_none else logits[words]
    start, end = (np.exp(rows) / np.exp(rows).sum(axis=0)).T
    every = {
        (words[a], words[b] + 1): start[a] * end[b] for a in range(n_words) for b in range(a, min(n_words, a + longest))
    }
    expected = sorted(every.items(), key=lambda pair: -pair[1])[:n_best]
    assert list(zip(found.starts, found.ends, strict=True)) == [span for span, _ in expected]
    assert found.scores == pytest.approx([score for _, score in expected], rel=1e-5)
    none = start[-1] * end[-1] if may_be_none else 0.0
    assert found.no_answer == pytest.approx(none / (none + expected[0][1]), rel=1e-5)


def test_several_tasks_in_one_pass_and_too_much_for_one(tiny_folder, monkeypatch):
    """Roles, questions and entities over one backbone: the same with `shared_backbone`, however much is to be read."""
    nlp = make_pipeline(tiny_folder)
    nlp.add_pipe("role_labeler", config={"model": task_block(tiny_folder, "Predicate")})
    tok2vec = {**task_block(tiny_folder, "Doc")["tok2vec"], "@architectures": "spacy_ptv2.Tok2VecPTuning.v1"}
    for name in ("layout", "rows"):
        del tok2vec[name]
    model = {"@architectures": "spacy_ptv2.TokenClassifier.v1", "tok2vec": tok2vec}
    nlp.add_pipe("token_classifier", config={"model": model})
    gold = gold_docs(nlp)
    for doc in gold:
        doc.spans["predicates"] = [doc[1:2], doc[3:4]]
        set_roles(doc, [[(0, 1, "A0")], [(0, 1, "A0"), (1, 2, "A1")]])
        doc.ents = [Span(doc, 0, 1, label="PER")]
    train_task(nlp, gold, steps=30)

    def predicted():
        docs = list(nlp.pipe([asked(nlp, doc) for doc in gold]))
        return [(d._.answers, [f.tags for f in d._.frames], [(e.text, e.label_) for e in d.ents]) for d in docs]

    alone = predicted()
    nlp.add_pipe("shared_backbone", first=True)
    computed = []
    compute = tok2vec_ptuning._compute
    monkeypatch.setattr(tok2vec_ptuning, "_compute", lambda *given: computed.append(1) or compute(*given))
    for together, apart in zip(predicted(), alone, strict=True):
        assert together[1:] == apart[1:]
        assert [a[0]["answer"] for a in together[0]] == [a[0]["answer"] for a in apart[0]]
    assert not computed  # all was there
    monkeypatch.setattr(sequence_scores, "MAX_BUFFERED_TOKENS", 30)
    monkeypatch.setattr(joint_reading, "MAX_BUFFERED_TOKENS", 30)
    assert [row[1:] for row in predicted()] == [row[1:] for row in alone]
    assert computed
