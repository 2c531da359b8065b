"""What components and loops tell an optimizer, whichever it is: one of Thinc's takes no notice.

This is the only place that asks whether an optimizer is one of ours.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from thinc.api import Optimizer, get_array_module

from ..errors import Warnings
from .base import StepOptimizer
from .parameters import Parameters
from .tensors import Blocks, Key, overwrite


def introduce(optimizer: Optimizer, owner: Any, parameters: Callable[[Any], Parameters]) -> None:
    """Tell by what names the tensors of a component or a pipeline go.

    owner: Is not kept alive. parameters (Callable): `parameters_of_component` or `parameters_of_pipeline`.
    """
    if isinstance(optimizer, StepOptimizer):
        optimizer.names.introduce(owner, parameters)


def drive(optimizer: Optimizer) -> None:
    """Promise that every step will be ended by `step_schedules`, so that none has to be tried before."""
    if isinstance(optimizer, StepOptimizer):
        optimizer.is_driven = True


def observe(optimizer: Optimizer, loss: float, chance: float) -> None:
    """Report a component's loss in this step, and what chance would lose; see `DivergenceWatch.note`."""
    if isinstance(optimizer, StepOptimizer):
        optimizer.watch.note(loss, chance)


@contextmanager
def stepping(optimizer: Optimizer, name: str, blocks: Mapping[Key, Blocks] | None = None) -> Iterator[Any]:
    """Hand tensors over as a group, in this context, to what it gives: called as an optimizer is.

    One of ours tries the step when all of them are there, and leaves out the whole step where a gradient is not finite.
    In the place of another comes one that leaves out such tensors: one such step and the weights are lost.

    name (str): Whose tensors they are, for the warning. blocks (Mapping): What matrices they are made of, by key.
    """
    if isinstance(optimizer, StepOptimizer):
        optimizer.describe(blocks or {})
        with optimizer.together():
            yield optimizer
    else:
        yield _stepping_what_is_finite(optimizer, name)


def await_gradients(optimizer: Optimizer, hand_over: Callable[[], None]) -> None:
    """Tell what is to be called, at the latest at the end of the step, for gradients that are still to come."""
    if isinstance(optimizer, StepOptimizer):
        optimizer.turns.await_gradients(hand_over)


def take_turn(optimizer: Optimizer, layer: int) -> Callable[[], None] | None:
    """Tell that the component of a layer of ours finishes, with gradients or without: once in each step.

    RETURNS (Callable[[], None] | None): To be called when a training pass of the layer begins. None: nothing is.
    """
    if not isinstance(optimizer, StepOptimizer):
        return None
    optimizer.takes_turn(layer)
    reference = weakref.ref(optimizer)

    def begins_pass() -> None:
        ours = reference()
        if ours is not None:
            ours.begins_pass(layer)

    return begins_pass


def _stepping_what_is_finite(optimizer: Optimizer, name: str) -> Callable[[Any, Any, Any], Any]:
    def step(key: Any, weights: Any, gradient: Any) -> Any:
        if bool(get_array_module(gradient).isfinite(gradient).all()):
            return optimizer(key, weights, gradient)
        warnings.warn(Warnings.PW12.format(name=name), stacklevel=2)
        overwrite(gradient, 0.0)
        return weights, gradient

    return step
