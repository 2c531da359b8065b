"""Two confidences of an entity, from 0 to 1, and the settings of what is found.

`product`: the product of the probabilities of the entity's tags, each token on its own. `marginal`: the probability of
the entity among all valid sequences of tags. `python -m benchmarks.accuracy.calibration` measured that products are
usually better calibrated, and that a threshold gains more with marginals (docs/reference/configuration.md, "Confidences
and a threshold"). Both are computed at a temperature, which scores are divided by: the higher, the less sure.
Source: Guo et al. 2017, section 4.2, https://arxiv.org/abs/1706.04599.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..reading import is_number
from .losses import log_softmax
from .marginals import Entity, Floats1d, entity_marginals, entity_tags
from .tag_schemes import TagScheme

Confidence = Literal["product", "marginal"]
DEFAULTS: dict[str, Any] = {"confidence": "product", "threshold": 0.0, "temperature": 1.0, "outside_bias": 0.0}
FITTED = ("temperature", "outside_bias")  # to the weights, so learning on sets them back to what is configured


def entity_products(
    scheme: TagScheme,
    log_probabilities: NDArray[np.floating[Any]],
    entities: Sequence[Entity],
    lengths: Sequence[int] | None = None,
) -> Floats1d:
    """Return the product of the probabilities of each entity's tags. Arguments: As of `entity_marginals`."""
    if not entities:
        return np.zeros(0)
    starts, ends = np.array([entity[:2] for entity in entities]).T
    rows, tags = entity_tags(scheme, entities, starts)
    sizes = ends - starts
    products: Floats1d = np.exp(np.add.reduceat(log_probabilities[rows, tags].astype(float), np.cumsum(sizes) - sizes))
    return products


CONFIDENCES: dict[str, Callable[..., Floats1d]] = {"product": entity_products, "marginal": entity_marginals}


def at_temperature(log_probabilities: NDArray[np.floating[Any]], temperature: float) -> NDArray[np.floating[Any]]:
    """Return log probabilities at a temperature; those given are at 1. Shape of both: (n_tokens, n_tags)"""
    if temperature == 1.0 or not len(log_probabilities):
        return log_probabilities
    scaled: NDArray[np.floating[Any]] = log_softmax(np, log_probabilities / temperature)
    return scaled


def wrong_setting(settings: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the name of an impossible setting among `DEFAULTS`, and what was expected; None if all are possible."""
    if settings["confidence"] not in tuple(CONFIDENCES):  # a tuple, because the value may be of any type
        return "confidence", " or ".join(CONFIDENCES)
    threshold, temperature, bias = (settings[name] for name in ("threshold", *FITTED))
    if not is_number(threshold) or not 0 <= threshold <= 1:
        return "threshold", "a number from 0 to 1"
    if not is_number(temperature) or not 0 < temperature < math.inf:
        return "temperature", "a number above 0"
    if not is_number(bias):
        return "outside_bias", "a number"
    return None
