"""The gradients of one step, collected tensor by tensor, and that step: on trial, or taken.

Nobody tells an optimizer in `nlp.update(examples, sgd=optimizer)` which tensor is the last. So the step is taken *on
trial* with each tensor that comes: those before it are put back to what they were and stepped anew, where the norm has
changed the clipping. After the last one the weights are just those of one step over all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from thinc.types import FloatsXd

from .rules import RuleState
from .tensors import Blocks, overwrite, square_sum


@dataclass
class Pending:
    """One tensor that waits for the end of the step: its array is changed in place.

    part (str): See `PARTS`. blocks (Blocks | None): The matrices that it is made of, where it was described. before
    (FloatsXd | None): What it was before the step, once that was tried. scale (float | None): With which its gradient
    was stepped; None as long as it was not. state (RuleState | None): After that.
    """

    weights: FloatsXd
    gradient: FloatsXd
    part: str
    blocks: Blocks | None = None
    before: FloatsXd | None = None
    scale: float | None = None
    state: RuleState | None = None
    _square: float | None = None

    @property
    def square(self) -> float:
        """The sum of the gradient's squares, which is computed once."""
        if self._square is None:
            self._square = square_sum(self.gradient)
        return self._square

    def undo(self) -> None:
        """Put the tensor back to what it was before the step."""
        if self.before is not None:
            overwrite(self.weights, self.before)
        self.scale = self.state = None


Update = Callable[[str, Pending, FloatsXd, FloatsXd], tuple[FloatsXd, RuleState]]


class CollectedGradients:
    """The tensors of the step under way, by their names.

    update (Callable): Steps a tensor: its name, what is known of it, its weights before the step, its clipped gradient.
    """

    def __init__(self, update: Update) -> None:
        self._update = update
        self._pending: dict[str, Pending] = {}

    def __len__(self) -> int:
        """Return how many tensors are there."""
        return len(self._pending)

    def __contains__(self, name: str) -> bool:
        """Return whether a tensor is there."""
        return name in self._pending

    def __iter__(self) -> Iterator[tuple[str, Pending]]:
        """Yield name and tensor in the order of the names, which does not depend on who came first."""
        yield from sorted(self._pending.items())

    def add(self, name: str, pending: Pending) -> None:
        """Add a tensor."""
        self._pending[name] = pending

    def gradients(self) -> list[FloatsXd]:
        """Return all gradients in the order of the tensors' names."""
        return [pending.gradient for _, pending in self]

    def try_step(self, grad_clip: float) -> None:
        """Take the step over the tensors that are there, for the time being."""
        norm = global_norm([pending.square for pending in self._pending.values()])
        if not math.isfinite(norm):
            self.undo()
            return
        for pending in self._pending.values():
            pending.before = pending.weights.copy() if pending.before is None else pending.before
        self.step(norm, grad_clip)

    def step(self, norm: float, grad_clip: float) -> None:
        """Step every tensor that was not stepped with this scale of its gradient yet. grad_clip (float): 0 for none."""
        scale = min(1.0, grad_clip / norm) if grad_clip and norm else 1.0
        for name, pending in self._pending.items():
            if pending.scale == scale:
                continue
            origin = pending.weights if pending.before is None else pending.before
            weights, pending.state = self._update(name, pending, origin, pending.gradient * scale)
            overwrite(pending.weights, weights)
            pending.scale = scale

    def undo(self) -> None:
        """Put every tensor back to what it was before the step."""
        for pending in self._pending.values():
            pending.undo()

    def clear(self) -> None:
        """Forget the tensors."""
        self._pending = {}


def global_norm(squares: Sequence[float]) -> float:
    """Return the norm over tensors with these sums of squares; however they are ordered, the same."""
    return math.sqrt((math.fsum if all(map(math.isfinite, squares)) else sum)(squares))
