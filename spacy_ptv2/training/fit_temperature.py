"""Fits the temperature of confidences, and the outside bias, when a pipeline is saved, so that the file has them.

In: a pipeline with the weights that are about to be saved, and half of its dev corpus, every second example. Out: the
same pipeline, in which each head with confidences has what suits these weights. The other half is left to measure it
on. Nothing else changes: neither weights nor random numbers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from spacy.language import Language
from spacy.training import Example
from spacy.util import resolve_dot_names

from ..errors import Errors, PTuningError, Warnings

if TYPE_CHECKING:
    from ..pipeline.token_classifier import TokenClassifier
    from .trainer import ReadCorpus

MIN_ENTITIES = 100  # a temperature from fewer may be worse than none


@dataclass(frozen=True)
class FitTemperature:
    """The callback. min_entities (int), outside_bias (bool): See `build_fit_temperature_v1`.

    corpus (ReadCorpus | None): The reader of the dev corpus; None for the one that the config names.
    """

    min_entities: int = MIN_ENTITIES
    corpus: ReadCorpus | None = None
    outside_bias: bool = False
    _warned_of: set[str] = field(default_factory=set, compare=False)

    def __call__(self, nlp: Language) -> Language:
        """Set what is fitted. RETURNS: The same pipeline."""
        from ..pipeline.temperature import heads_of
        from .random_state import random_numbers_kept

        config = nlp.config.interpolate()
        heads = heads_of(nlp, leaving_out=config["training"]["frozen_components"])
        if not heads:
            self._warn("", Warnings.PW15.format(got=", ".join(nlp.pipe_names)))
            return nlp
        for head in heads.values():
            head.set_back()
        with random_numbers_kept():
            (corpus,) = [self.corpus] if self.corpus else resolve_dot_names(config, [config["training"]["dev_corpus"]])
            half = fitted_half(list(corpus(nlp)))
            left = fit_heads(nlp, heads, half, self.min_entities, outside_bias=self.outside_bias)
        for name, n_gold in left.items():
            if n_gold < self.min_entities:  # else it has not learned enough yet
                kept = heads[name].cfg["temperature"]
                self._warn(name, Warnings.PW14.format(name=name, n=n_gold, least=self.min_entities, kept=kept))
        return nlp

    def _warn(self, name: str, message: str) -> None:
        """Warn of a component once, and not at each evaluation."""
        if name not in self._warned_of:
            self._warned_of.add(name)
            warnings.warn(message, stacklevel=3)


def build_fit_temperature_v1(
    min_entities: int = MIN_ENTITIES, outside_bias: bool = False
) -> Callable[[Language], Language]:
    """Build the callback for ``[training.before_to_disk]``.

    min_entities (int): Where a head finds fewer in the half of the dev corpus, or only right or only wrong ones, its
        temperature is that of the config; with a warning (PW14) if there are no more to be found.
    outside_bias (bool): Also fit what the score of "O" is lowered by, where there are that many gold entities.
    RETURNS (Callable[[Language], Language]): Fits the temperature of every `token_classifier`, `span_labeler` and
        `predicate_finder` that is not frozen; warns (PW15) if there is none. What is loaded does not call it.
    RAISES (PTuningError): P407 for an impossible number.
    """
    if min_entities < 1:
        raise PTuningError(Errors.P407.format(name="min_entities", expected="at least 1", got=min_entities))
    return FitTemperature(min_entities, outside_bias=outside_bias)


def fitted_half(examples: Sequence[Example]) -> Sequence[Example]:
    """Return the examples that are fitted to."""
    return examples[::2]


def other_half(examples: Sequence[Example]) -> Sequence[Example]:
    """Return the examples that are not fitted to."""
    return examples[1::2]


def fit_heads(
    nlp: Language,
    heads: dict[str, TokenClassifier],
    examples: Sequence[Example],
    min_entities: int,
    *,
    outside_bias: bool = False,
) -> dict[str, int]:
    """Set the temperature of some heads to what fits examples, and before that, if it is asked for, the outside bias.

    RETURNS: Of those that keep the temperature that they have, how much there was to find.
    """
    from ..pipeline.temperature import fit, fit_bias, judge

    left = {}
    for name, judged in judge(nlp, heads, examples).items():
        if outside_bias and judged.n_gold >= min_entities:
            bias = fit_bias(judged)
            judged = judged.at(bias)
            heads[name].cfg["outside_bias"] += bias
        if len(judged.right) < min_entities or len(np.unique(judged.right)) < 2:
            left[name] = judged.n_gold
        else:
            heads[name].cfg["temperature"] = fit(judged)
    return left
