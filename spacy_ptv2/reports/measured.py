"""Everything that is measured of a pipeline on gold Docs: one `Measured` for entities, span groups and classes each.

In: scores and examples of an evaluation. Out: scores by label with intervals, confusion, calibration and errors. What
the pipeline's scorers scored decides what there is; other tasks have what their scorers return, as tables
(`other_scores`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spacy.training import Example

from ..annotations.names import PREDICATES, QUESTIONS, SECOND_TEXT, attribute_of
from . import classes
from .calibration import Calibration, calibrate
from .confusion import Confusion, confuse
from .counts import EXCESS, MISSED, RIGHT, Outcomes, Score, Scores, score_labels
from .excerpts import CLASS_KIND, KINDS, Excerpt, Topic, WrongClass, excerpts, wrong_classes
from .spans import ENTITIES, DocMatches, match_examples

PER_TYPE = "_per_type"
SPANS = "spans_"
MEASURED = ("ents_", "cats_", SPANS)
MISSED_NAME, SPURIOUS_NAME = "missed", "spurious"


@dataclass(frozen=True)
class Measured:
    """What is known about one kind of annotation.

    name (str): A heading. slug (str): For links. metric (str): The name of the main score in spaCy's scores.
    main (tuple[str, Score]): The main score, with the name that readers know. scores (Scores): By label.
    confusion (Confusion | None), calibration (Calibration | None): None where there is none.
    excerpts (list[Excerpt]), wrong (list[WrongClass]): The errors that are shown. n_errors (int): Of how many.
    """

    name: str
    slug: str
    metric: str
    main: tuple[str, Score]
    scores: Scores
    confusion: Confusion | None
    calibration: Calibration | None
    excerpts: list[Excerpt] = field(default_factory=list)
    wrong: list[WrongClass] = field(default_factory=list)
    n_errors: int = 0

    @property
    def kinds(self) -> dict[str, str]:
        """The kinds of the errors that are shown, with their names."""
        names = {**KINDS, CLASS_KIND: "wrong class"}
        return {kind: name for kind, name in names.items() if any(kind == found for found, _ in self._topics())}

    @property
    def labels(self) -> list[str]:
        """The labels of the errors that are shown, in order."""
        return sorted({label for _, label in self._topics()})

    def _topics(self) -> Iterator[Topic]:
        for own in (*(item.topics for item in self.excerpts), *(item.topics for item in self.wrong)):
            yield from own


def measure(scores: Mapping[str, Any], examples: Sequence[Example]) -> list[Measured]:
    """Measure what has scores. scores (Mapping[str, Any]): What `nlp.evaluate` returned for these examples."""
    found = []
    if scores.get("ents_f") is not None:
        found.append(_spans("Entities", "entities", "ents_f", match_examples(examples, ENTITIES)))
    for key in _span_keys(scores):
        metric = f"{SPANS}{key}_f"
        found.append(_spans(f"Spans in “{key}”", f"spans-{len(found)}", metric, match_examples(examples, key)))
    if any(name.startswith("cats_") and value is not None for name, value in scores.items()):
        found.extend(_classes(examples))
    return found


def other_scores(scores: Mapping[str, Any]) -> tuple[list[tuple[str, float]], list[tuple[str, Mapping[str, Any]]]]:
    """Return all scores that are numbers, and those by type that `measure` does not measure, each with its name."""
    numbers = [(name, float(value)) for name, value in scores.items() if isinstance(value, int | float)]
    tables = [
        (name.removesuffix(PER_TYPE), value)
        for name, value in scores.items()
        if name.endswith(PER_TYPE) and not name.startswith(MEASURED) and isinstance(value, Mapping) and value
    ]
    return numbers, tables


def _span_keys(scores: Mapping[str, Any]) -> list[str]:
    """Return the span groups with scores by label, which predicates have not."""
    keys = [name[len(SPANS) : -len("_f")] for name in scores if name.startswith(SPANS) and name.endswith("_f")]
    return [key for key in keys if scores[f"{SPANS}{key}_f"] is not None and key != PREDICATES]


def _spans(name: str, slug: str, metric: str, docs: Sequence[DocMatches]) -> Measured:
    scores = score_labels([_outcomes(own) for own in docs])
    matches = [match for own in docs for match in own.matches]
    pairs: list[tuple[str | None, str | None]] = []
    judged = []
    for match in matches:
        gold, predicted = (None if found is None else found.label for found in (match.gold, match.predicted))
        pairs += [(gold, predicted)] if match.same_boundaries else [(gold, None), (None, predicted)]
        if match.predicted is not None and match.predicted.score is not None:
            judged.append((match.predicted.score, match.kind == "right"))
    confusion = confuse([pair for pair in pairs if pair != (None, None)], MISSED_NAME, SPURIOUS_NAME)
    shown, n_errors = excerpts(docs)
    main = ("F1", scores.overall.f1)
    return Measured(name, slug, metric, main, scores, confusion, calibrate(judged), shown, n_errors=n_errors)


def _outcomes(own: DocMatches) -> Outcomes:
    for match in own.matches:
        if match.kind == "right" and match.gold is not None:
            yield match.gold.label, RIGHT
            continue
        if match.gold is not None:
            yield match.gold.label, MISSED
        if match.predicted is not None:
            yield match.predicted.label, EXCESS


def _classes(examples: Sequence[Example]) -> list[Measured]:
    examples = classes.annotated(examples)
    if not examples:
        return []
    if not classes.are_exclusive(examples):
        scores = score_labels([classes.outcomes_of_several(example) for example in examples])
        calibration = calibrate(classes.probabilities_of_several(examples))
        main = ("F1", scores.overall.f1)
        return [Measured("Classes", "classes", "cats_micro_f", main, scores, None, calibration)]
    judged = classes.judge(examples)
    scores = score_labels([own.outcomes() for own in judged])
    confusion = confuse([(own.gold, own.predicted) for own in judged], MISSED_NAME, SPURIOUS_NAME)
    calibration = calibrate((own.score, own.is_right) for own in judged)
    wrong, n_errors = wrong_classes(judged, lambda own: _given(own.doc))
    # Where one class of each Doc is right and one is predicted, precision, recall and F1 of all together are accuracy.
    main = ("accuracy", scores.overall.f1)
    return [
        Measured("Classes", "classes", "cats_acc", main, scores, confusion, calibration, wrong=wrong, n_errors=n_errors)
    ]


def _given(doc: Any) -> list[str]:
    """Return what a Doc is paired with."""
    values = [attribute_of(doc, name) for name in (SECOND_TEXT, QUESTIONS)]
    return [str(text) for value in values if value for text in ([value] if isinstance(value, str) else value)]
