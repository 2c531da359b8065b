"""What a pipeline found of labelled spans, Doc by Doc: what is right, and in what way the rest is wrong.

In: examples whose predicted Docs a pipeline annotated. Out: matches of gold and predicted spans, in tokens of the gold
Doc. What is right is what `Scorer.score_spans` and `get_ner_prf` of spaCy count as right. What is wrong is paired with
the gold span of the same boundaries, else with one that it overlaps.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from spacy.tokens import Doc, Span
from spacy.training import Example

from ..annotations.roles import SCORES

Kind = Literal["right", "missed", "spurious", "label", "boundaries"]
ENTITIES = None  # the key of `doc.ents`, which is no span group


class Found(NamedTuple):
    """A span in tokens of the gold Doc, end exclusive. score (float | None): Its confidence, where there is one."""

    start: int
    end: int
    label: str
    score: float | None = None

    def overlap(self, other: Found) -> int:
        """Return how many tokens both have."""
        return min(self.end, other.end) - max(self.start, other.start)


@dataclass(frozen=True)
class Match:
    """A gold span and what was predicted in its place.

    kind (Kind): "label": the same boundaries, another label; "boundaries": they overlap, whatever the labels are.
    gold, predicted (Found | None): None for a spurious and for a missed one.
    """

    kind: Kind
    gold: Found | None
    predicted: Found | None

    @property
    def labels(self) -> list[str]:
        """The labels that it is about, without repetition."""
        return list(dict.fromkeys(found.label for found in (self.gold, self.predicted) if found is not None))

    @property
    def same_boundaries(self) -> bool:
        """Whether there are two spans with the same tokens."""
        return self.kind in ("right", "label")


@dataclass(frozen=True)
class DocMatches:
    """The matches of one Doc. number (int): Of the Doc in its corpus, from 0. doc (Doc): The gold Doc."""

    number: int
    doc: Doc
    matches: list[Match]


def match_examples(examples: Iterable[Example], key: str | None) -> list[DocMatches]:
    """Match the spans of all examples with gold ones. key (str | None): A span group, `ENTITIES` for `doc.ents`."""
    return [
        DocMatches(number, example.reference, match(_gold(example.reference, key), _predicted(example, key)))
        for number, example in enumerate(examples)
        if _is_annotated(example.reference, key)
    ]


def match(gold: Sequence[Found], predicted: Sequence[Found]) -> list[Match]:
    """Match the spans of one Doc. RETURNS (list[Match]): In the order of the text."""
    matches: list[Match] = []
    # Predictions over other tokens may be equal once they are placed, and each counts.
    open_gold, open_predicted = dict(enumerate(gold)), dict(enumerate(predicted))

    def take(kind: Kind, pairs: Iterable[tuple[int, int]]) -> None:
        for a, b in pairs:
            if a in open_gold and b in open_predicted:
                matches.append(Match(kind, open_gold.pop(a), open_predicted.pop(b)))

    take("right", _pairs(open_gold, open_predicted, lambda found: found[:3]))
    take("label", _pairs(open_gold, open_predicted, lambda found: found[:2]))
    overlaps = [
        (-one.overlap(other), one.label != other.label, a, b)
        for a, one in open_gold.items()
        for b, other in open_predicted.items()
        if one.overlap(other) > 0
    ]
    take("boundaries", [(a, b) for _, _, a, b in sorted(overlaps)])
    matches += [Match("missed", found, None) for found in open_gold.values()]
    matches += [Match("spurious", None, found) for found in open_predicted.values()]
    return sorted(matches, key=_place)


def _pairs(
    gold: Mapping[int, Found], predicted: Mapping[int, Found], key: Callable[[Found], Hashable]
) -> list[tuple[int, int]]:
    """Return the numbers of the pairs of a gold and a predicted span that are equal by a key."""
    by_key: dict[Hashable, list[int]] = {}
    for number, found in predicted.items():
        by_key.setdefault(key(found), []).append(number)
    return [(number, other) for number, found in gold.items() for other in by_key.get(key(found), ())]


def _place(found: Match) -> tuple[int, int]:
    span = found.gold or found.predicted
    return (span.start, span.end) if span is not None else (0, 0)


def _is_annotated(doc: Doc, key: str | None) -> bool:
    return doc.has_annotation("ENT_IOB") if key is None else key in doc.spans


def _gold(doc: Doc, key: str | None) -> list[Found]:
    spans: Iterable[Span] = doc.ents if key is None else doc.spans[key]
    return [Found(*place) for place in dict.fromkeys((span.start, span.end, span.label_) for span in spans)]


def _predicted(example: Example, key: str | None) -> list[Found]:
    """Return the predicted spans at their places in the gold Doc, without those where nothing is known of entities."""
    doc = example.predicted
    spans: Iterable[Span] = doc.ents if key is None else doc.spans.get(key, ())
    scores = dict(_scores(doc))
    found = []
    for span in spans:
        tokens = example.alignment.x2y[span.start : span.end]
        if not len(tokens):
            continue
        start, end = int(tokens[0]), int(tokens[-1]) + 1
        if key is None and any(not token.ent_iob_ for token in example.reference[start:end]):
            continue
        found.append(Found(start, end, span.label_, scores.get((span.start, span.end, span.label_))))
    return found


def _scores(doc: Doc) -> Iterator[tuple[tuple[int, int, str], float]]:
    """Yield the confidences of all span groups that have them."""
    for group in doc.spans.values():
        scores = group.attrs.get(SCORES, ())
        if len(group) and len(scores) == len(group):
            for span, score in zip(group, scores, strict=True):
                yield (span.start, span.end, span.label_), float(score)
