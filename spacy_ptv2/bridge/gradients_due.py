"""Tracks which gradients of a layer are still to come, and which optimizer gets them.

`nlp.update(examples, sgd=optimizer)` asks each component to finish right after its own update. At that point the
gradients of a layer with listeners, or of one that shares a pass with later components, do not exist yet. They are
handed to the optimizer once they do. So they count in the step of their own batch, as under `spacy train`, which asks
after all updates.
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
    """The gradients that one layer owes its optimizer. A copy of the layer owes nothing."""

    def __init__(self) -> None:
        self._pass: Callable[[], TrainingPass | None] = lambda: None  # the last training pass, while it is alive
        self._optimizer: Optimizer | None = None  # the one that waits for it
        self._tell_begin: Callable[[], None] | None = None  # tells our optimizer, if one is used, that a pass begins

    @property
    def are_to_come(self) -> bool:
        """Whether a training pass has begun whose backward pass may still run."""
        step = self._pass()
        return step is not None and not step.is_over

    def begin(self, step: TrainingPass) -> None:
        """Note that a training pass begins, with the weights after all earlier steps."""
        if self._tell_begin is not None:
            self._tell_begin()
        self._pass = weakref.ref(step)

    def postpone(self, optimizer: Optimizer, hand_over: Callable[[], None]) -> None:
        """Let an optimizer wait. hand_over (Callable): Called if its step ends first, to hand over what there is."""
        self._optimizer = optimizer
        await_gradients(optimizer, hand_over)

    def end_pass(self) -> None:
        """Run the backward pass with the gradients that have come, even if some layers of the pass sent none."""
        step = self._pass()
        if step is not None:
            step.finish()

    def take_optimizer(self) -> Optimizer | None:
        """Return the optimizer that waits, if one does, and stop its waiting."""
        optimizer, self._optimizer = self._optimizer, None
        return optimizer

    def finish(self, optimizer: Optimizer, layer: int) -> None:
        """Note that the layer's component finishes its update. layer (int): The layer's number in Thinc."""
        self._tell_begin = take_turn(optimizer, layer) or self._tell_begin

    def __deepcopy__(self, memo: dict[int, object]) -> GradientsDue:
        """Return an empty one: a copy owes nothing."""
        return GradientsDue()

    def __reduce__(self) -> tuple[type[GradientsDue], tuple[()]]:
        """As `__deepcopy__`."""
        return GradientsDue, ()
