"""Gradients that are not finite, before optimizers that would step them: one such step and the weights are lost."""

import warnings
from typing import Any

from thinc.api import Optimizer, get_array_module

from ..errors import Warnings
from .base import StepOptimizer
from .tensors import overwrite


def stepping_what_is_finite(optimizer: Optimizer, name: str) -> Any:
    """Return an optimizer that leaves out tensors whose gradient is not finite; ours do that for the whole step.

    name (str): Whose tensors they are, for the warning.
    """
    if isinstance(optimizer, StepOptimizer):
        return optimizer

    def step(key: Any, weights: Any, gradient: Any) -> Any:
        if bool(get_array_module(gradient).isfinite(gradient).all()):
            return optimizer(key, weights, gradient)
        warnings.warn(Warnings.PW12.format(name=name), stacklevel=2)
        overwrite(gradient, 0.0)
        return weights, gradient

    return step
