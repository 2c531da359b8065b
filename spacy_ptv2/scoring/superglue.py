"""Scores of SuperGLUE's tasks that are more than accuracy: MultiRC by answer and by question, ReCoRD by words.

Source: Wang et al. 2019, section 3, https://arxiv.org/abs/1905.00537: MultiRC has the F1 of the right answers over all
answers (F1a), and the share of questions all of whose answers are judged rightly (EM); ReCoRD has the exact match and
the F1 of SQuAD 1.1, the maximum over the right entities.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from spacy.tokens import Doc
from spacy.training import Example

from ..annotations.names import CANDIDATES, CHOICE, IDX, attribute_of
from ..errors import Errors, PTuningError
from .classes import best_class, score_classes
from .squad import score_11

Scores = dict[str, Any]
RIGHT = "1"  # the label of MultiRC's right answers


def build_multirc_scorer_v1() -> Callable[..., Scores]:
    """Build the scorer of `pair_classifier` for MultiRC."""
    return score_multirc


def build_record_scorer_v1() -> Callable[..., Scores]:
    """Build the scorer of `pair_classifier` for ReCoRD."""
    return score_record


def answer_scores(answers: Iterable[tuple[Hashable, bool, bool]]) -> tuple[float, float]:
    """Return F1 over all answers, and the share of questions all of whose answers are judged rightly.

    answers (Iterable): The question of each, whether it is right, and whether it is predicted to be; at least one.
    """
    n_gold = n_predicted = n_both = 0
    by_question: dict[Hashable, bool] = defaultdict(lambda: True)
    for question, gold, predicted in answers:
        n_gold, n_predicted, n_both = n_gold + gold, n_predicted + predicted, n_both + (gold and predicted)
        by_question[question] &= gold == predicted
    return 2 * n_both / max(1, n_gold + n_predicted), sum(by_question.values()) / len(by_question)


def score_multirc(examples: Iterable[Example], **kwargs: Any) -> Scores:
    """Score `doc.cats` of answers, "1" for right ones, by the question that `doc._.idx` names.

    RETURNS (dict): multirc_f1a, multirc_em, from 0 to 1, None without gold; and what `score_classes` returns.
    RAISES (PTuningError): P049 for a Doc without its question.
    """
    examples = list(examples)
    answers = []
    for example in examples:
        if example.reference.cats:
            gold, predicted = (
                best_class(doc, example.reference.cats) for doc in (example.reference, example.predicted)
            )
            answers.append((_question_of(example.reference), gold == RIGHT, predicted == RIGHT))
    f1, em = answer_scores(answers) if answers else (None, None)
    return {"multirc_f1a": f1, "multirc_em": em, **score_classes(examples)}


def _question_of(doc: Doc) -> Hashable:
    idx = attribute_of(doc, IDX)
    if not isinstance(idx, dict) or not {"paragraph", "question"} <= idx.keys():
        raise PTuningError(Errors.P049.format(text=doc.text[:50], got=idx))
    return idx["paragraph"], idx["question"]


def score_record(examples: Iterable[Example], **kwargs: Any) -> Scores:
    """Score the candidate that `doc._.choice` stands for; a query without a prediction counts as wrong.

    RETURNS (dict): record_exact, record_f1, from 0 to 1, None without gold; and what `score_classes` returns.
    """
    examples = list(examples)
    gold: dict[str, list[str]] = {}
    predicted: dict[str, str] = {}
    for place, example in enumerate(examples):
        right, candidates = (attribute_of(example.reference, name) for name in (CHOICE, CANDIDATES))
        if right is None or not candidates:
            continue
        gold[str(place)] = [candidates[number] for number in ([right] if isinstance(right, int) else right)]
        choice = attribute_of(example.predicted, CHOICE)
        if choice is not None:
            predicted[str(place)] = candidates[choice]
    scores = score_11(gold, predicted) if gold else dict.fromkeys(("exact", "f1"))
    return {**{f"record_{name}": value for name, value in scores.items()}, **score_classes(examples)}
