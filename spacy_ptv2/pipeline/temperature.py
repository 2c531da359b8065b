"""What suits a head on gold Docs: how readily it finds entities, and the temperature of its confidences.

In: gold Docs, and what a head found in them. Out: which of that is right; the outside bias with the best F1, because
heads that were trained on few or unlike texts find too few entities or too many; and the temperature with the smallest
log loss of right and wrong.
Source: Menon et al. 2021, section 4.1 (the bias, here of one tag), https://arxiv.org/abs/2007.07314; Guo et al. 2017,
section 4.2 (the temperature, here over entities), https://arxiv.org/abs/1706.04599.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.training import Example
from spacy.training.alignment_array import AlignmentArray

from .entities import Prediction
from .marginals import Entity, Floats1d
from .token_classifier import Decoded, TokenClassifier

LOWEST, HIGHEST = 0.25, 8.0  # temperatures that are tried
BIASES = [step / 4 for step in range(-6, 17)]  # that are tried
PRECISION = 0.002  # of the logarithm of the temperature
DIGITS = 3
GOLDEN = (math.sqrt(5) - 1) / 2
SURE = 1e-6  # the loss of an entity is that of no surer confidence, or one error would decide


@dataclass(frozen=True)
class Gold:
    """The gold entities of an example.

    entities (frozenset[Entity] | None): None if it says nothing about them.
    tokens (AlignmentArray): Which tokens of the reference each token of the predicted Doc has.
    """

    entities: frozenset[Entity] | None
    tokens: AlignmentArray

    def verdicts(self, found: Prediction) -> Iterator[bool | None]:
        """Yield of everything that was found whether spaCy's scorers count it as right; None if that is unknown."""
        for start, end, label, _ in found:
            tokens = self.tokens[start:end]
            if self.entities is None or not len(tokens):
                yield None
            else:
                yield (int(tokens[0]), int(tokens[-1]) + 1, label) in self.entities


class Judged:
    """What a head found in examples, and whether it is right (`right`: 1 or 0); `n_gold`, how much there was to find.

    head (TokenClassifier): It gives confidences at any temperature.
    gold (Sequence[Gold]): Of the Docs that were decoded, in order.
    decoded (Sequence[Decoded]): One of each batch.
    """

    def __init__(self, head: TokenClassifier, gold: Sequence[Gold], decoded: Sequence[Decoded]) -> None:
        self._head = head
        self._gold = gold
        self._decoded = decoded
        self.n_gold = sum(len(one.entities or ()) for one in gold)
        predictions = chain.from_iterable(one.free.in_docs(one.entities, [0.0] * len(one.entities)) for one in decoded)
        judged = [verdict for one, found in zip(gold, predictions, strict=True) for verdict in one.verdicts(found)]
        self._is_known = np.array([verdict is not None for verdict in judged], dtype=bool)
        self.right: NDArray[np.float64] = np.array([verdict for verdict in judged if verdict is not None], dtype=float)

    def confidences(self, temperature: float) -> Floats1d:
        """Return the confidence of all that is judged. Shape, and that of `right`: (n_judged,)"""
        batches = [self._head.confidences(one, temperature) for one in self._decoded]
        known: Floats1d = np.concatenate([np.zeros(0), *batches])[self._is_known]
        return known

    @property
    def f1(self) -> float:
        """The F1 of what was found."""
        return 2 * float(self.right.sum()) / max(1, len(self.right) + self.n_gold)

    def at(self, bias: float) -> Judged:
        """Return what would be found with the score of "O" lowered by this bias in addition."""
        decoded = [self._head.decode(one.free, one.log_probabilities, bias) for one in self._decoded]
        return Judged(self._head, self._gold, decoded)


def heads_of(nlp: Language, leaving_out: Sequence[str] = ()) -> dict[str, TokenClassifier]:
    """Return the components with an outside bias and a temperature. leaving_out (Sequence[str]): Names of others."""
    heads = {name: pipe for name, pipe in nlp.pipeline if isinstance(pipe, TokenClassifier)}
    return {name: head for name, head in heads.items() if name not in leaving_out}


def judge(nlp: Language, heads: Mapping[str, TokenClassifier], examples: Sequence[Example]) -> dict[str, Judged]:
    """Annotate copies of examples once, as `nlp.evaluate` does, and judge what the heads found.

    heads (Mapping): Components of the pipeline by name.
    """
    copies = [Example(example.predicted.copy(), example.reference) for example in examples]
    decoded: dict[str, list[Decoded]] = {name: [] for name in heads}
    last = max(nlp.pipe_names.index(name) for name in heads)
    try:
        for name, head in heads.items():
            head.observer = decoded[name].append
        for _ in nlp.pipe((example.predicted for example in copies), disable=nlp.pipe_names[last + 1 :]):
            pass
    finally:
        for head in heads.values():
            head.observer = None
    return {name: Judged(head, [_gold(head, one) for one in copies], decoded[name]) for name, head in heads.items()}


def fit_bias(judged: Judged) -> float:
    """Return the bias with the best F1; of several, that closest to 0."""
    return max(sorted(BIASES, key=abs), key=lambda bias: judged.at(bias).f1)


def fit(judged: Judged) -> float:
    """Return the temperature with the smallest log loss, by golden section."""

    def loss(log_temperature: float) -> float:
        return log_loss(judged.confidences(math.exp(log_temperature)), judged.right)

    return round(math.exp(smallest(loss, math.log(LOWEST), math.log(HIGHEST))), DIGITS)


def log_loss(confidences: Floats1d, right: Floats1d) -> float:
    """Return the mean log loss in nats. right (Floats1d): 1 or 0. Shape of both: (n_entities,)"""
    p = np.clip(confidences, SURE, 1 - SURE)
    return float(-np.where(right > 0, np.log(p), np.log1p(-p)).mean())


def smallest(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function with one minimum has it. low, high (float): Between which it is looked for."""
    inner = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)]
    values = [function(place) for place in inner]
    while high - low > PRECISION:
        if values[0] <= values[1]:
            high, inner[1], values[1] = inner[1], inner[0], values[0]
            inner[0] = high - GOLDEN * (high - low)
            values[0] = function(inner[0])
        else:
            low, inner[0], values[0] = inner[0], inner[1], values[1]
            inner[1] = low + GOLDEN * (high - low)
            values[1] = function(inner[1])
    return (low + high) / 2


def _gold(head: TokenClassifier, example: Example) -> Gold:
    spans = head.gold_spans(example.reference)
    entities = None if spans is None else frozenset((span.start, span.end, head.label_of(span)) for span in spans)
    return Gold(entities, example.alignment.x2y)
