"""Predictions in the form of official files: what is written can be read again and scores the same."""

import json
import random

import pytest
import spacy
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_ptv2.annotations.names import IDX, add_extension
from spacy_ptv2.annotations.roles import frames_of, set_roles
from spacy_ptv2.corpora.predictions import write_predictions
from spacy_ptv2.corpora.props import read_props
from spacy_ptv2.corpora.spans import blank_tokenize
from spacy_ptv2.corpora.squad import read_squad
from spacy_ptv2.corpora.tasks import task_reader
from spacy_ptv2.errors import CorpusError, PTuningError
from spacy_ptv2.scoring.roles import score_roles

from ..conftest import DATA
from .test_props import PROPS
from .test_squad import question
from .test_squad import write as write_squad

NLP = spacy.blank("en")
add_extension(IDX)


def copy(doc):
    return Doc(NLP.vocab, words=[token.text for token in doc], spaces=[bool(token.whitespace_) for token in doc])


def load(path):
    return json.loads(path.read_text(encoding="utf8"))


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]


def answered(tmp_path, *, impossible):
    qas = [question(), question("q2", "Why?", [] if impossible else [("Kim", 0)], is_impossible=impossible)]
    (gold,) = read_squad(write_squad(tmp_path / "dev.json", *qas), blank_tokenize("en"))
    predicted = copy(gold)
    predicted._.answers = [[{"answer": "Oslo é", "score": 0.5}], [{"answer": "", "score": 0.9}]]
    predicted._.no_answer = [0.0, 0.0] if not impossible else [0.25, 0.9]
    return Example(predicted, gold)


def test_answers_of_squad_11(tmp_path):
    written = write_predictions(tmp_path / "out", [answered(tmp_path, impossible=False)])
    assert written == [tmp_path / "out" / "answers.json"]
    assert load(written[0]) == {"q1": "Oslo é", "q2": ""}
    assert "é" in written[0].read_text(encoding="utf8")


def test_answers_of_squad_20_have_a_second_file(tmp_path):
    written = write_predictions(tmp_path / "dev.json", [answered(tmp_path, impossible=True)])
    assert [path.name for path in written] == ["dev.json", "dev.na_prob.json"]
    assert load(written[1]) == {"q1": 0.25, "q2": 0.9}


def test_answers_without_ids_or_with_one_twice(tmp_path):
    example = answered(tmp_path, impossible=False)
    with pytest.raises(PTuningError, match="P053.*'q1' stands for two"):
        write_predictions(tmp_path / "out", [example, answered(tmp_path, impossible=False)])
    example.reference._.question_ids = example.predicted._.question_ids = None
    with pytest.raises(PTuningError, match="P052.*2 answers and 0 ids"):
        write_predictions(tmp_path / "out", [example])
    assert not (tmp_path / "out").exists()


def predict_roles(gold, seed):
    """A pipeline that errs at random: roles are lost, moved or get another label."""
    chance = random.Random(seed)
    predicted = copy(gold)
    frames = frames_of(gold)
    predicted.spans["predicates"] = [
        Span(predicted, f.predicate.start, f.predicate.end, label=f.predicate.label) for f in frames
    ]
    roles = []
    for frame in frames:
        own = [(role.start, role.end, role.label_) for role in frame.roles if chance.random() < 0.8]
        roles.append([(s, e, chance.choice([label, label, "A4"])) for s, e, label in own])
    set_roles(predicted, roles)
    return predicted


@pytest.mark.parametrize("seed", range(5))
def test_roles_read_again_score_the_same(seed, tmp_path):
    (tmp_path / "gold.props").write_text(PROPS, encoding="utf8")
    gold = list(read_props(tmp_path / "gold.props", NLP.vocab))
    examples = [Example(predict_roles(doc, seed), doc) for doc in gold]
    (path,) = write_predictions(tmp_path / "out.props", examples)
    again = [Example(doc, own) for doc, own in zip(read_props(path, NLP.vocab), gold, strict=True)]
    assert score_roles(again) == score_roles(examples)
    assert score_roles(again)["srl_f"] > 0.0


def test_gold_roles_come_out_as_they_were(tmp_path):
    (tmp_path / "gold.props").write_text(PROPS, encoding="utf8")
    gold = list(read_props(tmp_path / "gold.props", NLP.vocab))
    (path,) = write_predictions(tmp_path / "out", [Example(doc, doc) for doc in gold])
    assert path.name == "roles.props"
    as_cells = [[line.split() for line in text.strip().split("\n")] for text in (PROPS, path.read_text())]
    assert as_cells[0] == as_cells[1]


def with_roles(words, predicates, roles, **settings):
    doc = Doc(NLP.vocab, words=words, **settings)
    doc.spans["predicates"] = [Span(doc, start, end, label=label) for start, end, label in predicates]
    set_roles(doc, roles)
    return doc


def written_roles(tmp_path, doc, gold=None):
    (path,) = write_predictions(tmp_path / "out.props", [Example(doc, copy(doc) if gold is None else gold)])
    return path


def test_words_and_lemmas_that_columns_cannot_hold(tmp_path):
    words = ["a\u00a0b", "\n", "-", "***", "gave", "up"]
    predicates = [(2, 3, ""), (3, 4, ""), (4, 6, "give up")]
    doc = with_roles(words, predicates, [[], [(0, 1, "A0")], [(0, 2, "A0"), (2, 4, "A1"), (2, 3, "A2")]])
    path = written_roles(tmp_path, doc)
    (again,) = read_props(path, NLP.vocab)
    assert [token.text for token in again] == ["a_b", "_", "-", "***", "gave", "up"]
    frames = [(f.predicate.text, f.predicate.label_, [(r.text, r.label_) for r in f.roles]) for f in again._.frames]
    assert frames == [
        ("-", "_", []),
        ("***", "***", [("a_b", "A0")]),
        ("gave up", "give_up", [("a_b _", "A0"), ("-", "A2"), ("- ***", "A1")]),
    ]


def test_a_found_predicate_gets_the_lemma_of_the_gold_one(tmp_path):
    predicted = with_roles(["Kim", "ran"], [(1, 2, "")], [[(0, 1, "A0")]])
    gold = with_roles(["Kim", "ran"], [(1, 2, "run")], [[(0, 1, "A0")]])
    assert "ran\trun\t(V*)" in written_roles(tmp_path, predicted, gold).read_text()


def test_sentences_and_predicates_that_begin_together(tmp_path):
    doc = with_roles(
        ["Kim", "ran", "Lee", "sat"],
        [(3, 4, "sit"), (1, 2, "walk"), (1, 2, "run")],
        [[(2, 3, "A0")], [], [(0, 1, "A0")]],
        sent_starts=[True, False, True, False],
    )
    assert [token.is_sent_start for token in doc] == [True, False, True, False]
    expected = "Kim\t-\t(A0*)\nran\trun\t(V*)\n\nLee\t-\t(A0*)\nsat\tsit\t(V*)\n\n"
    assert written_roles(tmp_path, doc).read_text() == expected


@pytest.mark.parametrize(
    ("roles", "problem"),
    [
        ([(0, 2, "A0"), (1, 4, "A1")], "crosses another role"),
        ([(0, 5, "A 0")], "is a label with white space"),
        ([(0, 1, "(A0")], "is a label with white space, a bracket"),
        ([(2, 5, "A0")], "ends outside of the predicate's sentence"),
    ],
)
def test_roles_that_brackets_cannot_hold(roles, problem, tmp_path):
    starts = [True, False, False, True, False] if "sentence" in problem else None
    doc = with_roles(list("abcde"), [(1, 2, "b")] if starts else [(4, 5, "e")], [roles], sent_starts=starts)
    with pytest.raises(PTuningError, match=f"P054.*'a b c d e '.*{problem}"):
        written_roles(tmp_path, doc)


def classes(idx, cats, text="text"):
    predicted, gold = NLP.make_doc(text), NLP.make_doc(text)
    predicted.cats, gold._.idx = cats, idx
    return Example(predicted, gold)


def test_classes_by_their_idx_or_their_number(tmp_path):
    cats = {"b": 0.25, "a": 0.75}
    (path,) = write_predictions(tmp_path / "out", [classes(7, cats), classes(3, cats)])
    assert (path.name, lines(path)) == ("labels.jsonl", [{"idx": 7, "label": "a"}, {"idx": 3, "label": "a"}])
    (path,) = write_predictions(tmp_path / "RTE.jsonl", [classes(None, cats), classes(None, {}), classes(None, cats)])
    assert lines(path) == [{"idx": 0, "label": "a"}, {"idx": 2, "label": "a"}]  # nothing is predicted of the second


def test_classes_that_cannot_be_told_apart(tmp_path):
    cats = {"a": 1.0}
    with pytest.raises(PTuningError, match="P055.*1 of 2 Docs"):
        write_predictions(tmp_path / "out", [classes(7, cats), classes(None, cats)])
    with pytest.raises(PTuningError, match="P053.*idx 7 stands for two"):
        write_predictions(tmp_path / "out", [classes(7, cats), classes(7, cats)])


def superglue(task):
    """Gold Docs of a fixture, and predictions that are all right."""
    gold = list(task_reader(task)(DATA / f"{task}.jsonl", blank_tokenize("en")))
    examples = []
    for doc in gold:
        predicted = copy(doc)
        predicted.cats = dict(doc.cats)
        if task == "record":
            predicted._.choice = doc._.choice[-1]
        examples.append(Example(predicted, doc))
    return examples


def test_superglue_in_the_form_that_its_server_takes(tmp_path):
    written = {
        task: lines(write_predictions(tmp_path / task, superglue(task))[0]) for task in ("wsc", "multirc", "record")
    }
    assert written["wsc"][:2] == [{"idx": 0, "label": "True"}, {"idx": 1, "label": "False"}]
    assert written["record"][2:4] == [{"idx": 4, "label": "Kelm"}, {"idx": 5, "label": "Danube Institute"}]
    assert written["record"][0] == {"idx": 0, "label": "Berg"}
    assert len(written["multirc"]) == 10
    assert written["multirc"][1] == {
        "idx": 1,
        "passage": {
            "questions": [
                {
                    "idx": 10,
                    "answers": [{"idx": 100, "label": 1}, {"idx": 101, "label": 0}, {"idx": 102, "label": 1}],
                }
            ]
        },
    }


def test_nothing_or_too_much_for_one_file(tmp_path):
    plain = Example(NLP.make_doc("a"), NLP.make_doc("a"))
    with pytest.raises(CorpusError, match="P050.*predicted nothing"):
        write_predictions(tmp_path / "out", [plain])
    example = answered(tmp_path, impossible=False)
    example.predicted.cats = {"a": 1.0}
    with pytest.raises(CorpusError, match="P051.*needs? 2: answers.json, labels.jsonl"):
        write_predictions(tmp_path / "out.json", [example])
    written = write_predictions(tmp_path / "out", [example])
    assert sorted(path.name for path in written) == ["answers.json", "labels.jsonl"]
