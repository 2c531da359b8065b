"""SQuAD's two official definitions of exact match and F1.

In: gold answers and predicted texts by question. Out: scores from 0 to 1.
Sources: 1.1: Rajpurkar et al. 2016, https://arxiv.org/abs/1606.05250; 2.0: Rajpurkar, Jia and Liang 2018,
https://arxiv.org/abs/1806.03822, and the evaluation scripts of both at https://rajpurkar.github.io/SQuAD-explorer.
They differ in what is not there: see `f1_11` and `f1_20`, and which questions count.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)
Scores = dict[str, float]
Compare = Callable[[str, str], float]


def normalize(text: str) -> str:
    """Return a text in lower case, without ASCII punctuation, articles and superfluous spaces."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def exact(gold: str, predicted: str) -> float:
    """Return 1 if both are equal once they are normalised, else 0."""
    return float(normalize(gold) == normalize(predicted))


def f1_11(gold: str, predicted: str) -> float:
    """Return the F1 of the words of two texts; 0 if they share none, so also if both are empty."""
    gold_words, predicted_words = normalize(gold).split(), normalize(predicted).split()
    n_shared = sum((Counter(gold_words) & Counter(predicted_words)).values())
    if not n_shared:
        return 0.0
    precision, recall = n_shared / len(predicted_words), n_shared / len(gold_words)
    return 2 * precision * recall / (precision + recall)


def f1_20(gold: str, predicted: str) -> float:
    """Return the F1 of the words of two texts; where one is empty, 1 if both are."""
    sides = normalize(gold).split(), normalize(predicted).split()
    return f1_11(gold, predicted) if all(sides) else float(sides[0] == sides[1])


def score_11(gold: Mapping[str, Sequence[str]], predicted: Mapping[str, str]) -> Scores:
    """Score predictions as SQuAD 1.1 does: a question without a prediction counts as wrong.

    gold (Mapping[str, Sequence[str]]): The answers to each question, at least one. predicted: The answer to each.
    RETURNS (dict[str, float]): exact and f1.
    """
    total = {"exact": 0.0, "f1": 0.0}
    for question, answers in gold.items():
        if question in predicted:
            total["exact"] += _best(exact, answers, predicted[question])
            total["f1"] += _best(f1_11, answers, predicted[question])
    return {name: value / max(1, len(gold)) for name, value in total.items()}


def score_20(
    gold: Mapping[str, Sequence[str]],
    predicted: Mapping[str, str],
    no_answer: Mapping[str, float] | None = None,
    threshold: float = 1.0,
) -> Scores:
    """Score predictions as SQuAD 2.0 does: a question without a prediction does not count.

    gold (Mapping[str, Sequence[str]]): The answers to each question; none for an unanswerable one.
    predicted (Mapping[str, str]): The answer to each question, "" for none.
    no_answer (Mapping[str, float] | None): The probability that there is none; above the threshold, none is counted.
        With it, the scores at the best thresholds are returned too.
    RETURNS (dict[str, float]): exact and f1, of all questions and under has_answer_ and no_answer_ of some; best_exact,
        best_f1 and their thresholds.
    """
    questions = {question: _answers_20(answers) for question, answers in gold.items() if question in predicted}
    raw = {
        "exact": {question: _best(exact, answers, predicted[question]) for question, answers in questions.items()},
        "f1": {question: _best(f1_20, answers, predicted[question]) for question, answers in questions.items()},
    }
    answerable = {question for question, answers in questions.items() if answers != [""]}
    scores: Scores = {}
    for name, values in raw.items():
        final = {
            question: float(question not in answerable) if (no_answer or {}).get(question, 0.0) > threshold else value
            for question, value in values.items()
        }
        scores[name] = _mean(list(final.values()))
        scores[f"has_answer_{name}"] = _mean([value for question, value in final.items() if question in answerable])
        scores[f"no_answer_{name}"] = _mean([value for question, value in final.items() if question not in answerable])
        if no_answer is not None:
            best, at = _best_threshold(values, predicted, no_answer, answerable)
            scores |= {f"best_{name}": best, f"best_{name}_threshold": at}
    return scores


def _answers_20(answers: Sequence[str]) -> list[str]:
    """Return the answers that are not empty once they are normalised; one empty answer if none is left."""
    return [answer for answer in answers if normalize(answer)] or [""]


def _best(compare: Compare, answers: Sequence[str], predicted: str) -> float:
    return max(compare(answer, predicted) for answer in answers)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(1, len(values))


def _best_threshold(
    values: Mapping[str, float], predicted: Mapping[str, str], no_answer: Mapping[str, float], answerable: set[str]
) -> tuple[float, float]:
    """Return the best mean score over all thresholds, and the threshold: up to it a prediction counts."""
    current = float(len(values) - len(answerable))  # all unanswered
    best, threshold = current, 0.0
    for question in sorted(values, key=lambda question: no_answer[question]):
        if question in answerable:
            current += values[question]
        elif predicted[question]:
            current -= 1.0
        if current > best:
            best, threshold = current, no_answer[question]
    return best / max(1, len(values)), threshold
