"""Which gradients of a layer are still to come, and which optimizer is to have them then.

`nlp.update(examples, sgd=optimizer)` asks each component to finish right after its own update. There the gradients of
a layer with listeners, or in a pass together with later components, do not exist yet. They are handed to the optimizer
when they do, so that they count in the step of their own batch, as under `spacy train`, which asks after all updates.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from thinc.api import Optimizer

from ..optimizers.base import StepOptimizer

if TYPE_CHECKING:
    from .training_pass import TrainingPass


class GradientsDue:
    """What one layer owes its optimizer. Lives no longer than the layer: copies owe nothing."""

    def __init__(self) -> None:
        self._pass: Callable[[], TrainingPass | None] = lambda: None  # the last one in training, while it may come back
        self._optimizer: Optimizer | None = None  # that waits for it
        self._last: Callable[[], StepOptimizer | None] = lambda: None  # of ours, with which its component finished

    @property
    def are_to_come(self) -> bool:
        """Whether a training pass has begun whose backward pass may still run."""
        step = self._pass()
        return step is not None and not step.is_over

    def begin(self, step: TrainingPass, layer: int) -> None:
        """A training pass begins, with the weights after all earlier steps. layer (int): Whose, by its number."""
        last = self._last()
        if last is not None:
            last.begins_pass(layer)
        self._pass = weakref.ref(step)

    def postpone(self, optimizer: Optimizer, hand_over: Callable[[], None]) -> None:
        """Let an optimizer wait. hand_over (Callable): Gives it what there is, for one whose step ends before."""
        self._optimizer = optimizer
        if isinstance(optimizer, StepOptimizer):
            optimizer.await_gradients(hand_over)

    def end_pass(self) -> None:
        """Run the backward pass of a common step for those that gave gradients, where not all did."""
        step = self._pass()
        if step is not None:
            step.finish()

    def take_optimizer(self) -> Optimizer | None:
        """Return the optimizer that waits, if one does, and let it wait no longer."""
        optimizer, self._optimizer = self._optimizer, None
        return optimizer

    def finish(self, optimizer: Optimizer, layer: int) -> None:
        """The layer's component finishes its update."""
        if isinstance(optimizer, StepOptimizer):
            optimizer.takes_turn(layer)
            self._last = weakref.ref(optimizer)

    def __deepcopy__(self, memo: dict[int, object]) -> GradientsDue:
        """A copy owes nothing."""
        return GradientsDue()

    def __reduce__(self) -> tuple[type[GradientsDue], tuple[()]]:
        """As `__deepcopy__`."""
        return GradientsDue, ()
