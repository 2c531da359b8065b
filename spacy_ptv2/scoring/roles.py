"""Predicates, and semantic role labelling scored as the CoNLL-2005 shared task does (srl-eval.pl), micro-averaged.

In: the roles of propositions, gold and predicted. Out: precision, recall and F1. Start, end and label must agree. The
predicate, V and what continues it, is not counted. C-X continues the latest X of the proposition, and then every piece
must agree; without such an X it counts as X. R-X is a label like any other.
Source: Carreras and Màrquez 2005, section 2.4, https://aclanthology.org/W05-0620.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from spacy.scorer import Scorer
from spacy.training import Example

from ..annotations.given import place_span
from ..annotations.names import PREDICATES
from ..annotations.roles import VERB, Frame, frames_of
from ..errors import Warnings

CONTINUES = "C-"
Role = tuple[int, int, str]  # start, end, label
Pieces = tuple[tuple[int, int], ...]
Scores = dict[str, Any]


@dataclass
class RoleCounts:
    """How many roles are right, in excess and missed, by label."""

    right: Counter[str] = field(default_factory=Counter)
    excess: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)

    def add(self, gold: Iterable[Role], predicted: Iterable[Role]) -> None:
        """Count the roles of one proposition."""
        open_gold = {pieces: label for label, pieces in join_pieces(gold)}  # of two with one extent the later counts
        for label, pieces in join_pieces(predicted):
            if open_gold.get(pieces) == label:
                self.right[label] += 1
                del open_gold[pieces]
            else:
                self.excess[label] += 1
        self.missed.update(open_gold.values())

    def scores(self, label: str | None = None) -> tuple[float, float, float]:
        """Return precision, recall and F1 of a label, None for all."""
        counters = (self.right, self.excess, self.missed)
        right, excess, missed = (c.total() if label is None else c[label] for c in counters)
        precision, recall = right / max(1, right + excess), right / max(1, right + missed)
        return precision, recall, 2 * precision * recall / max(precision + recall, 1e-100)


def join_pieces(roles: Iterable[Role]) -> list[tuple[str, Pieces]]:
    """Return the roles of a proposition with their pieces, C-X joined to the latest X, the predicate left out."""
    joined: list[tuple[str, list[tuple[int, int]]]] = []
    for start, end, label in sorted(roles):
        whole = label.removeprefix(CONTINUES)
        if whole == VERB:
            continue
        latest = next((pieces for other, pieces in reversed(joined) if other == whole), None)
        if label != whole and latest is not None:
            latest.append((start, end))
        else:
            joined.append((whole, [(start, end)]))
    return [(label, tuple(pieces)) for label, pieces in joined]


def build_role_scorer_v1() -> Callable[..., Scores]:
    """Build the scorer of `role_labeler`."""
    return score_roles


def score_roles(examples: Iterable[Example], **kwargs: Any) -> Scores:
    """Score `doc._.frames`.

    A proposition is compared with the predicted one of the same predicate. If both name its lemma or sense, and not the
    same one, all of its gold roles are missed and what was predicted does not count. Nor does a predicate without gold.

    RETURNS (dict): srl_p, srl_r, srl_f, from 0 to 1, None without gold frames, and srl_per_type.
    """
    counts = RoleCounts()
    n_frames = n_predicted = 0
    for example in examples:
        predicted = {frame.predicate.start: frame for frame in frames_of(example.predicted)}
        n_predicted += len(predicted)
        for frame in frames_of(example.reference):
            n_frames += 1
            place = place_span(frame.predicate, example.predicted)
            counts.add(*_compared(frame, predicted.get(place.start), example))
    if not n_frames:
        return {"srl_p": None, "srl_r": None, "srl_f": None, "srl_per_type": None}
    if not n_predicted:
        warnings.warn(Warnings.PW31.format(what="predicates"), stacklevel=2)
    names = ("p", "r", "f")
    labels = sorted(counts.right | counts.excess | counts.missed)
    per_type = {label: dict(zip(names, counts.scores(label), strict=True)) for label in labels}
    return {f"srl_{n}": value for n, value in zip(names, counts.scores(), strict=True)} | {"srl_per_type": per_type}


def build_predicate_scorer_v1() -> Callable[..., Scores]:
    """Build the scorer of `predicate_finder`."""
    return score_predicates


def score_predicates(examples: Iterable[Example], *, spans_key: str = PREDICATES, **kwargs: Any) -> Scores:
    """Score a span group by spaCy's `Scorer.score_spans`, whatever the labels: lemmas and senses are not predicted.

    RETURNS (dict): spans_KEY_p, spans_KEY_r, spans_KEY_f, from 0 to 1, None without gold.
    """
    return Scorer.score_spans(
        examples,
        f"spans_{spans_key}",
        getter=lambda doc, _: doc.spans.get(spans_key, ()),
        has_annotation=lambda doc: spans_key in doc.spans,
        labeled=False,
        allow_overlap=True,
    )


def _compared(gold: Frame, predicted: Frame | None, example: Example) -> tuple[Sequence[Role], Sequence[Role]]:
    """Return the gold roles and the predicted ones that count, in tokens of the predicted Doc."""
    placed = [(place_span(role, example.predicted), role.label_) for role in gold.roles]
    roles = [(span.start, span.end, label) for span, label in placed]
    if predicted is None:
        return roles, []
    labels = gold.predicate.label_, predicted.predicate.label_
    if all(labels) and labels[0] != labels[1]:
        return roles, []
    return roles, [(role.start, role.end, role.label_) for role in predicted.roles]
