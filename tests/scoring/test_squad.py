"""SQuAD's scores against cases worked by hand, and the corners of both definitions."""

import pytest

from spacy_ptv2.scoring.squad import exact, f1_11, f1_20, normalize, score_11, score_20


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Beatles!", "beatles"),
        ("an apple, a day", "apple day"),
        ("theatre", "theatre"),  # an article is a whole word
        ("a.b", "ab"),  # punctuation goes before articles are sought
        ("A", ""),
        ("the—dash", "—dash"),  # not ASCII punctuation, and a border of words
        ("“Kim”", "“kim”"),
        ("U.S.", "us"),
        ("\tLine\nbreak ", "line break"),
    ],
)
def test_the_normal_form(text, normal):
    assert normalize(text) == normal


def test_exact_and_f1_of_words_with_repetitions():
    assert exact("The Denver Broncos", "denver broncos.") == 1.0
    assert exact("Denver", "Denver Broncos") == 0.0
    assert f1_11("the cat sat", "cat cat sat down") == pytest.approx(2 * (2 / 4) * (2 / 2) / (2 / 4 + 1))
    assert f1_11("red red wine", "red wine wine") == pytest.approx(2 / 3)


def test_what_is_not_there_counts_differently():
    assert f1_11("the", "a") == 0.0 and f1_20("the", "a") == 1.0  # both empty once normalised
    assert f1_20("", "Kim") == f1_20("Kim", "") == 0.0


def test_11_takes_the_best_gold_answer_and_counts_what_is_missing_as_wrong():
    gold = {"a": ["Kim Lee", "Kim"], "b": ["in 1998", "1998"], "c": ["x"]}
    scores = score_11(gold, {"a": "kim", "b": "year 1998", "unknown": "x"})
    assert scores == {"exact": pytest.approx(1 / 3), "f1": pytest.approx((1 + 2 / 3) / 3)}


def test_20_leaves_out_what_is_missing_and_gold_that_is_empty():
    gold = {"a": ["the", "Kim"], "b": ["a"], "c": [], "d": ["x"]}
    scores = score_20(gold, {"a": "Kim", "b": "", "c": "Lee"})
    assert scores == {
        "exact": pytest.approx(2 / 3),
        "f1": pytest.approx(2 / 3),
        "has_answer_exact": 1.0,
        "has_answer_f1": 1.0,
        "no_answer_exact": 0.5,
        "no_answer_f1": 0.5,
    }
    assert score_20({}, {})["exact"] == 0.0


def test_above_the_threshold_nothing_is_answered_and_at_it_something_is():
    gold, predicted = {"a": ["Kim"], "b": []}, {"a": "Kim", "b": "Lee"}
    no_answer = {"a": 0.5, "b": 0.75}
    at = {threshold: score_20(gold, predicted, no_answer, threshold)["exact"] for threshold in (0.25, 0.5, 0.75)}
    assert at == {0.25: 0.5, 0.5: 1.0, 0.75: 0.5}


def test_the_best_threshold_starts_with_nothing_answered():
    gold = {"a": ["Kim"], "b": [], "c": ["Lee"], "d": []}
    predicted = {"a": "Kim", "b": "x", "c": "no", "d": ""}
    scores = score_20(gold, predicted, {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4})
    # unanswered 2, after a 3, after b 2, after c 2, after d 2: an empty prediction costs nothing
    assert (scores["best_exact"], scores["best_exact_threshold"]) == (0.75, 0.1)
    all_wrong = score_20({"a": []}, {"a": "x"}, {"a": 0.0})
    assert (all_wrong["best_f1"], all_wrong["best_f1_threshold"]) == (1.0, 0.0)
