"""SQuAD's JSON: what is read, and what is refused with its id, or counted where the user is lenient."""

import json

import pytest

from spacy_ptv2.annotations.answers import answers_of, official_predictions
from spacy_ptv2.corpora.spans import blank_tokenize
from spacy_ptv2.corpora.squad import read_squad
from spacy_ptv2.errors import CorpusError

CONTEXT = "Kim Lee was born in\nOslo.  She  moved to Paris in 1998."


def question(identifier="q1", text="Where?", answers=(("Oslo", 20),), **more):
    return {
        "id": identifier,
        "question": text,
        "answers": [{"text": answer, "answer_start": start} for answer, start in answers],
        **more,
    }


def write(path, *questions, context=CONTEXT):
    data = {"version": "2.0", "data": [{"title": "x", "paragraphs": [{"context": context, "qas": list(questions)}]}]}
    path.write_text(json.dumps(data), encoding="utf8")
    return path


def read(path, **settings):
    return list(read_squad(path, blank_tokenize("en"), **settings))


def test_paragraphs_become_docs_with_questions_and_answers(tmp_path):
    path = write(
        tmp_path / "dev.json",
        question(answers=[("Oslo", 20), ("in\nOslo", 17)]),
        question("q2", "Why?", [], is_impossible=True),
    )
    (doc,) = read(path)
    assert doc.text == CONTEXT
    assert (doc._.questions, doc._.question_ids) == (["Where?", "Why?"], ["q1", "q2"])
    assert answers_of(doc) == [
        [{"answer": "Oslo", "start": 20, "end": 24}, {"answer": "in\nOslo", "start": 17, "end": 24}],
        [],
    ]


def test_paragraphs_without_questions_are_passed_over(tmp_path):
    path = tmp_path / "dev.json"
    paragraphs = [{"context": "", "qas": []}, {"context": CONTEXT, "qas": [question()]}]
    path.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}), encoding="utf8")
    assert len(read(path)) == 1


WRONG = {
    "P030": question(answers=[("Oslo", 21)]),
    "P031": question("ok"),
    "P032": question(text=" \n"),
    "P033": question(is_impossible=True),
}


@pytest.mark.parametrize("code", WRONG)
def test_a_wrong_question_is_refused_by_its_id_or_left_out(code, tmp_path):
    path = write(tmp_path / "dev.json", question("ok"), WRONG[code])
    with pytest.raises(CorpusError, match=rf"{code}.*dev\.json: question '{WRONG[code]['id']}'"):
        read(path)
    with pytest.warns(UserWarning, match=rf"PW30.*1 of 2 questions were left out.*{code}"):
        (doc,) = read(path, lenient=True)
    assert doc._.question_ids == ["ok"]


def test_of_several_answers_the_right_ones_stay(tmp_path):
    path = write(tmp_path / "dev.json", question(answers=[("Oslo", 3), ("Oslo", 20)]))
    with pytest.warns(UserWarning, match="PW30"):
        (doc,) = read(path, lenient=True)
    assert answers_of(doc) == [[{"answer": "Oslo", "start": 20, "end": 24}]]


def test_an_empty_context_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="P032.*its context is empty"):
        read(write(tmp_path / "dev.json", question(answers=[]), context=" "))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"data": [', "P011"),
        ('[{"question": "Who?"}]', "P013"),
        ('{"data": [{"paragraphs": [{"context": 3, "qas": []}]}]}', "P013.*article 1, paragraph 1"),
        ('{"data": [{"paragraphs": [{"context": "a", "qas": [{"id": "x"}]}]}]}', "P013.*article 1, paragraph 1"),
        ('{"data": [{"paragraphs": [{"context": "\\ud800", "qas": []}]}]}', "P025"),
        ('{"data": []}', "P034"),
    ],
)
def test_other_files_are_refused(text, code, tmp_path):
    path = tmp_path / "dev.json"
    path.write_text(text, encoding="utf8")
    with pytest.raises(CorpusError, match=code):
        read(path)


def test_predictions_in_the_official_form(tmp_path):
    path = write(tmp_path / "dev.json", question(), question("q2", "Why?", [], is_impossible=True))
    (doc,) = read(path)
    doc._.answers = [[{"answer": "Oslo", "score": 0.5, "start": 20, "end": 24}], [{"answer": "", "score": 0.9}]]
    doc._.no_answer = [0.25, 0.9]
    assert official_predictions([doc]) == ({"q1": "Oslo", "q2": ""}, {"q1": 0.25, "q2": 0.9})
