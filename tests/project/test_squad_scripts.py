"""Unanswerable questions made of a cut of real SQuAD: which there are, and that nothing else changes."""

import json

import pytest
import spacy
from spacy.tokens import DocBin

from spacy_ptv2.annotations.answers import answers_of
from spacy_ptv2.cli.convert import convert_task
from spacy_ptv2.scoring.squad import normalize

from ..conftest import DATA
from .test_scripts import load_script, one_line, run_script

SQUAD = DATA / "squad_articles.json"
N_QUESTIONS, N_MADE = 23, 11  # a third of 34


def load(path):
    return json.loads(path.read_text(encoding="utf8"))


def paragraphs_of(content):
    return [paragraph for article in content["data"] for paragraph in article["paragraphs"]]


def make(output, *arguments, source=SQUAD):
    result = run_script("make_unanswerable.py", source, output, *arguments)
    assert result.returncode == 0, result.stderr
    return load(output), one_line(result.stdout)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("squad") / "train.json"
    make(path)
    return path


def split(entries):
    """The answerable questions of a paragraph, and the others."""
    return [[entry for entry in entries if entry["is_impossible"] is kind] for kind in (False, True)]


def test_a_third_is_unanswerable_and_the_rest_as_it_was(made):
    content, before = load(made), load(SQUAD)
    assert content["version"] == "v2.0"
    n_made = 0
    for new, old in zip(paragraphs_of(content), paragraphs_of(before), strict=True):
        answerable, unanswerable = split(new["qas"])
        assert new["context"] == old["context"]
        assert [{**own, "is_impossible": False} for own in old["qas"]] == new["qas"][: len(old["qas"])] == answerable
        n_made += len(unanswerable)
    assert n_made == N_MADE


def test_no_answer_is_in_the_paragraph_and_the_question_is_of_the_same_article(made):
    n_checked = 0
    for article, old in zip(load(made)["data"], load(SQUAD)["data"], strict=True):
        own = {entry["id"]: entry for paragraph in old["paragraphs"] for entry in paragraph["qas"]}
        for paragraph in article["paragraphs"]:
            for entry in split(paragraph["qas"])[1]:
                source = own[entry["id"].split("-in-")[0]]
                assert entry["question"] == source["question"] and entry["answers"] == []
                for answer in source["answers"]:
                    assert normalize(answer["text"]) not in normalize(paragraph["context"])
                    n_checked += 1
    assert n_checked > N_MADE  # of the dev set, with several gold answers each
    ids = [entry["id"] for paragraph in paragraphs_of(load(made)) for entry in paragraph["qas"]]
    assert len(ids) == len(set(ids)) == N_QUESTIONS + N_MADE


def test_the_seed_decides(made, tmp_path):
    make(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == made.read_bytes()
    make(tmp_path / "other.json", "--seed", "1")
    assert (tmp_path / "other.json").read_bytes() != made.read_bytes()


def test_the_result_is_read_as_squad_20(made, tmp_path):
    convert_task(made, tmp_path / "train.spacy", "squad")
    docs = list(DocBin().from_disk(tmp_path / "train.spacy").get_docs(spacy.blank("en").vocab))
    answers = [own for doc in docs for own in answers_of(doc)]
    assert (len(answers), sum(not own for own in answers)) == (N_QUESTIONS + N_MADE, N_MADE)


def test_questions_are_put_to_several_paragraphs_before_none_are_left(tmp_path):
    content, output = make(tmp_path / "most.json", "--share", "0.9")
    n_made = sum(len(split(paragraph["qas"])[1]) for paragraph in paragraphs_of(content))
    assert N_QUESTIONS < n_made <= 4 * 3 * 4 + 3 * 2 * 4
    assert f"No more than {n_made} of {N_QUESTIONS * 9} unanswerable" in output


def paragraph(context, *questions):
    return {
        "context": context,
        "qas": [{"id": i, "question": q, "answers": [{"text": a, "answer_start": 0}]} for i, q, a in questions],
    }


@pytest.mark.parametrize(
    ("context", "n_made"),
    [
        ("She moved to Oslo", 1),
        ("She met KIM, Lee", 0),  # equal once normalised
        ("It is Kim Leeson's", 0),  # within a word: the answer is somewhere in it
    ],
)
def test_a_paragraph_with_an_answer_is_passed_over(context, n_made):
    script = load_script("make_unanswerable")
    article = {"paragraphs": [paragraph("Kim Lee sat", ("a", "Who sat?", "Kim Lee")), paragraph(context)]}
    assert len(list(script.put_elsewhere(script.read_article(article), 1))) == n_made


def test_a_paragraph_that_asks_the_same_is_passed_over():
    script = load_script("make_unanswerable")
    both = [("Kim sat", ("a", "Who sat?", "Kim")), ("Lee sat", ("b", "who sat", "Lee"))]
    article = {"paragraphs": [paragraph(*own) for own in both]}
    assert list(script.put_elsewhere(script.read_article(article), 2)) == []


def test_a_file_of_squad_20_is_refused(made, tmp_path):
    result = run_script("make_unanswerable.py", made, tmp_path / "out.json")
    assert result.returncode == 1 and "has unanswerable questions already" in one_line(result.stdout)
    assert not (tmp_path / "out.json").exists()


def test_articles_are_held_back_whole(tmp_path):
    paths = tmp_path / "train.json", tmp_path / "dev.json"
    assert run_script("split_squad.py", SQUAD, *paths, "--share", "0.5").returncode == 0
    train, dev = ([article["title"] for article in load(path)["data"]] for path in paths)
    assert len(train) == len(dev) == 1 and {*train, *dev} == {"Oxygen", "Normans"}
    again = tmp_path / "a.json", tmp_path / "b.json"
    run_script("split_squad.py", SQUAD, *again, "--share", "0.5")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in paths]
