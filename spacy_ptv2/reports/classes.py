"""What a pipeline found of classes of texts, Doc by Doc.

In: examples whose predicted Docs a pipeline annotated. Out: for Docs of which exactly one class is right, that class
and the predicted one; where several may be right, whether each class is found. Docs without a gold class are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from spacy.tokens import Doc
from spacy.training import Example

from ..corpora.contents import RIGHT_ABOVE, right_classes
from ..scoring.classes import best_class
from .counts import EXCESS, MISSED, RIGHT


@dataclass(frozen=True)
class Judged:
    """A Doc of which one class is right.

    number (int): Of the Doc in its corpus, from 0. doc (Doc): The gold Doc.
    score (float): The probability of the predicted class.
    """

    number: int
    doc: Doc
    gold: str
    predicted: str
    score: float

    @property
    def is_right(self) -> bool:
        """Whether the predicted class is the gold one."""
        return self.gold == self.predicted

    def outcomes(self) -> list[tuple[str, int]]:
        """Return what counts for which label; see `counts.Outcomes`."""
        return [(self.gold, RIGHT)] if self.is_right else [(self.gold, MISSED), (self.predicted, EXCESS)]


def annotated(examples: Iterable[Example]) -> list[Example]:
    """Return the examples whose gold Docs have classes."""
    return [example for example in examples if example.reference.cats]


def are_exclusive(examples: Iterable[Example]) -> bool:
    """Return whether of no Doc more than one class is right, and of some Doc one is."""
    counts = [len(right_classes(example.reference)) for example in examples]
    return max(counts, default=0) == 1


def judge(examples: Iterable[Example]) -> list[Judged]:
    """Compare the best class with the gold one, where there is exactly one, as `score_classes` does."""
    judged = []
    for number, example in enumerate(examples):
        right = right_classes(example.reference)
        if len(right) == 1:
            best = best_class(example.predicted, example.reference.cats)
            judged.append(Judged(number, example.reference, right[0], best, example.predicted.cats.get(best, 0.0)))
    return judged


def outcomes_of_several(example: Example) -> list[tuple[str, int]]:
    """Return what counts for which label where several may be right; see `counts.Outcomes`."""
    outcomes = []
    for label, value in example.reference.cats.items():
        is_gold, is_predicted = value > RIGHT_ABOVE, example.predicted.cats.get(label, 0.0) > RIGHT_ABOVE
        if is_gold or is_predicted:
            outcomes.append((label, RIGHT if is_gold and is_predicted else MISSED if is_gold else EXCESS))
    return outcomes


def probabilities_of_several(examples: Sequence[Example]) -> Iterator[tuple[float, bool]]:
    """Yield the probability of each class of each Doc, and whether it is right."""
    for example in examples:
        for label, value in example.reference.cats.items():
            yield example.predicted.cats.get(label, 0.0), value > RIGHT_ABOVE
