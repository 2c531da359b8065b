"""Scores answers to the questions of Docs by SQuAD's official definitions (`squad.py`).

A corpus with unanswerable questions is scored as SQuAD 2.0, any other as SQuAD 1.1.
"""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

from spacy.training import Example

from ..annotations.answers import answers_of
from ..annotations.names import NO_ANSWER, QUESTIONS, texts_of
from ..errors import Warnings
from .squad import score_11, score_20

Scores = dict[str, Any]


def build_answer_scorer_v1() -> Callable[..., Scores]:
    """Build the scorer of `question_answerer`."""
    return score_answers


def score_answers(examples: Iterable[Example], **kwargs: Any) -> Scores:
    """Score `doc._.answers`.

    RETURNS (dict): qa_exact and qa_f1, from 0 to 1, None without a question; with unanswerable ones also the scores of
        both kinds and those at the best thresholds (see `score_20`).
    """
    gold: dict[str, list[str]] = {}
    predicted: dict[str, str] = {}
    no_answer: dict[str, float] = {}
    for place, example in enumerate(examples):
        found, probabilities = answers_of(example.predicted), example.predicted._.get(NO_ANSWER) or []
        for number, answers in enumerate(answers_of(example.reference)):
            key = f"{place} {number}"
            gold[key] = [answer["answer"] for answer in answers]
            if number < len(found) and texts_of(example.predicted, QUESTIONS):
                predicted[key] = found[number][0]["answer"] if found[number] else ""
                no_answer[key] = probabilities[number] if number < len(probabilities) else 0.0
    if gold and not predicted:
        warnings.warn(Warnings.PW31.format(what="questions"), stacklevel=2)
    if not gold:
        return {"qa_exact": None, "qa_f1": None}
    is_20 = not all(gold.values())
    scores = score_20(gold, predicted, no_answer) if is_20 else score_11(gold, predicted)
    return {f"qa_{name}": value for name, value in scores.items()}
