"""What components and loops tell an optimizer. Any optimizer can be passed, but only ours listen.

This is the only module that checks whether an optimizer is one of ours, so that components need not.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray
from thinc.api import Optimizer, get_array_module

from ..errors import Errors, PTuningError, Warnings
from . import thinc_state
from .base import StepOptimizer
from .divergence import ChanceLoss
from .parameters import Parameters
from .tensors import Contents, Key, overwrite


def introduce(optimizer: Optimizer, owner: Any, parameters: Callable[[Any], Parameters]) -> None:
    """Tell the optimizer the names of a component's or a pipeline's tensors.

    owner (Any): The component or pipeline, which is not kept alive.
    parameters (Callable): Returns its tensors: `parameters_of_component` or `parameters_of_pipeline`.
    """
    if isinstance(optimizer, StepOptimizer):
        optimizer.names.introduce(owner, parameters)


def drive(optimizer: Optimizer) -> None:
    """Promise that `step_schedules` will end every step, so that no step has to be tried before it is complete."""
    if isinstance(optimizer, StepOptimizer):
        optimizer.is_driven = True


def state_of(optimizer: Optimizer, parameters: Parameters) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return all that later steps of an optimizer depend on: named arrays, and values for JSON.

    parameters (Parameters): The trained tensors of the pipeline.
    RAISES (PTuningError): P418 if it is neither ours nor Thinc's own.
    """
    if isinstance(optimizer, StepOptimizer):
        return optimizer.state()
    if type(optimizer) is not Optimizer:
        raise PTuningError(Errors.P418.format(got=type(optimizer).__name__))
    return thinc_state.export_state(optimizer, parameters)


def load_state(
    optimizer: Optimizer,
    parameters: Parameters,
    state: tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]],
    n_steps: int,
) -> None:
    """Continue from what `state_of` returned, in a fresh optimizer. n_steps (int): Steps taken so far.

    RAISES (PTuningError): P415, P416 for the state of another optimizer, or of other tensors.
    """
    if isinstance(optimizer, StepOptimizer):
        optimizer.load_state(*state)
    else:
        thinc_state.import_state(optimizer, parameters, *state, n_steps)


def abandon_step(optimizer: Optimizer) -> None:
    """Forget the step under way, which could not be taken."""
    if isinstance(optimizer, StepOptimizer):
        optimizer.abandon()


def observe(optimizer: Optimizer, name: str, loss: float, seen: ChanceLoss) -> None:
    """Report a component's loss in this step, and the gold tags of the step; see `DivergenceWatch.observe`."""
    if isinstance(optimizer, StepOptimizer):
        optimizer.watch.observe(name, loss, seen)


@contextmanager
def stepping(optimizer: Optimizer, name: str, contents: Mapping[Key, Contents] | None = None) -> Iterator[Any]:
    """Return a context for handing over tensors as a group. It yields a callable for each tensor, like an optimizer.

    Our optimizers try the step once all tensors are there, and skip the whole step if a gradient is not finite. Any
    other is wrapped, so that it skips the tensors with such gradients: a single such step would ruin the weights.

    name (str): Whose tensors they are, for the warning.
    contents (Mapping[Key, Contents] | None): The matrices that they consist of, by key.
    """
    if isinstance(optimizer, StepOptimizer):
        optimizer.describe(contents or {})
        with optimizer.together():
            yield optimizer
    else:
        yield _stepping_what_is_finite(optimizer, name)


def await_gradients(optimizer: Optimizer, hand_over: Callable[[], None]) -> None:
    """Announce gradients that are still to come; `hand_over` is called for them by the end of the step."""
    if isinstance(optimizer, StepOptimizer):
        optimizer.turns.await_gradients(hand_over)


def take_turn(optimizer: Optimizer, layer: int) -> Callable[[], None] | None:
    """Tell the optimizer that the component of a layer finishes its update, with or without gradients.

    layer (int): Its number in Thinc.
    RETURNS (Callable[[], None] | None): What to call when a training pass of the layer begins, if anything.
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
