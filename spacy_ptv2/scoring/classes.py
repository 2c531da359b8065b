"""Scores classes of texts and choices: accuracy, and F1 averaged over the classes as CB of SuperGLUE has it.

Source: Wang et al. 2019, section 3, https://arxiv.org/abs/1905.00537.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Any

from spacy.tokens import Doc
from spacy.training import Example

from ..annotations.names import CHOICE, attribute_of

Scores = dict[str, Any]


def build_class_scorer_v1() -> Callable[..., Scores]:
    """Build the scorer of `text_classifier` and of `pair_classifier`."""
    return score_classes


def score_classes(examples: Iterable[Example], **kwargs: Any) -> Scores:
    """Score the best class in `doc.cats` where exactly one is right, and `doc._.choice` where there is a gold one.

    RETURNS (dict): cats_acc, the share of right ones; cats_macro_f, the mean F1 of the classes that are gold or
        predicted; cats_f_per_type; choice_acc, for which any of several right choices counts. From 0 to 1; None
        without gold.
    """
    examples = list(examples)
    return {**_score_cats(examples), **_score_choices(examples)}


def best_class(doc: Doc, labels: Collection[str]) -> str:
    """Return which of some labels a Doc has with the highest probability; of equal ones the first."""
    return max(labels, key=lambda label: doc.cats.get(label, 0.0))


def _score_cats(examples: Iterable[Example]) -> Scores:
    right: Counter[str] = Counter()
    gold_counts: Counter[str] = Counter()
    predicted_counts: Counter[str] = Counter()
    for example in examples:
        gold = [label for label, value in example.reference.cats.items() if value > 0.5]
        if len(gold) != 1:
            continue
        predicted = best_class(example.predicted, example.reference.cats)
        gold_counts[gold[0]] += 1
        predicted_counts[predicted] += 1
        right[predicted] += predicted == gold[0]
    total = gold_counts.total()
    if not total:
        return {"cats_acc": None, "cats_macro_f": None, "cats_f_per_type": None}
    f1 = {
        label: 2 * right[label] / (gold_counts[label] + predicted_counts[label])
        for label in sorted(gold_counts | predicted_counts)
    }
    return {
        "cats_acc": right.total() / total,
        "cats_macro_f": sum(f1.values()) / len(f1),
        "cats_f_per_type": {label: {"f": value} for label, value in f1.items()},
    }


def _score_choices(examples: Iterable[Example]) -> Scores:
    results = []
    for example in examples:
        gold = attribute_of(example.reference, CHOICE)
        if gold is not None:
            results.append(example.predicted._.get(CHOICE) in (gold if isinstance(gold, list | tuple) else [gold]))
    return {"choice_acc": sum(results) / len(results) if results else None}
