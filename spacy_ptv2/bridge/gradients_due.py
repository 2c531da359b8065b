"""Which gradients of a layer are still to come, and which optimizer gets them.

`nlp.update(examples, sgd=optimizer)` asks each component to finish right after its own update. There the gradients of
a layer with listeners, or in a pass together with later components, do not exist yet. They are handed to the optimizer
when they do, so that they count in the step of their own batch, as under `spacy train`, which asks after all updates.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from thinc.api import Optimizer

from ..optimizers.protocol import await_gradients, take_turn

if TYPE_CHECKING:
    from .training_pass import TrainingPass


class GradientsDue:
    """What one layer owes its optimizer. Lives no longer than the layer: copies owe nothing."""

    def __init__(self) -> None:
        self._pass: Callable[[], TrainingPass | None] = lambda: None  # the last one in training, while it may come back
        self._optimizer: Optimizer | None = None  # that waits for it
        self._tell_begin: Callable[[], None] | None = None  # the optimizer of ours with which its component finished

    @property
    def are_to_come(self) -> bool:
        """Whether a training pass has begun whose backward pass may still run."""
        step = self._pass()
        return step is not None and not step.is_over

    def begin(self, step: TrainingPass) -> None:
        """A training pass begins, with the weights after all earlier steps."""
        if self._tell_begin is not None:
            self._tell_begin()
        self._pass = weakref.ref(step)

    def postpone(self, optimizer: Optimizer, hand_over: Callable[[], None]) -> None:
        """Let an optimizer wait. hand_over (Callable): Gives it what there is, for one whose step ends before."""
        self._optimizer = optimizer
        await_gradients(optimizer, hand_over)

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
        self._tell_begin = take_turn(optimizer, layer) or self._tell_begin

    def __deepcopy__(self, memo: dict[int, object]) -> GradientsDue:
        """A copy owes nothing."""
        return GradientsDue()

    def __reduce__(self) -> tuple[type[GradientsDue], tuple[()]]:
        """As `__deepcopy__`."""
        return GradientsDue, ()
