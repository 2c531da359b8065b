"""Two confidences of an entity, from 0 to 1.

`product`: of the probabilities of the entity's tags, each token for itself. `marginal`: of the entity among all valid
sequences of tags. `python -m benchmarks.accuracy.calibration` measured that products are calibrated better as a
rule, and that a threshold gains more over marginals (docs/configuration.md, "Confidences and a threshold").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .marginals import Entity, Floats1d, entity_marginals, entity_tags
from .tag_schemes import TagScheme

Confidence = Literal["product", "marginal"]
DEFAULTS: dict[str, Any] = {"confidence": "product", "threshold": 0.0}


def entity_products(
    scheme: TagScheme,
    log_probabilities: NDArray[np.floating[Any]],
    entities: Sequence[Entity],
    lengths: Sequence[int] | None = None,
) -> Floats1d:
    """Return the product of the probabilities of each entity's tags. Arguments: as of `entity_marginals`."""
    if not entities:
        return np.zeros(0)
    starts, ends = np.array([entity[:2] for entity in entities]).T
    rows, tags = entity_tags(scheme, entities, starts)
    sizes = ends - starts
    products: Floats1d = np.exp(np.add.reduceat(log_probabilities[rows, tags].astype(float), np.cumsum(sizes) - sizes))
    return products


CONFIDENCES: dict[str, Callable[..., Floats1d]] = {"product": entity_products, "marginal": entity_marginals}


def wrong_setting(settings: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the name of a setting among `DEFAULTS` that cannot be, and what was expected; None if all can."""
    if settings["confidence"] not in tuple(CONFIDENCES):  # which may be of any type
        return "confidence", " or ".join(CONFIDENCES)
    threshold = settings["threshold"]
    is_number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    return None if is_number and 0 <= threshold <= 1 else ("threshold", "a number from 0 to 1")
