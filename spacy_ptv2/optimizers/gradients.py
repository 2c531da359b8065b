"""Collects the gradients of one step, tensor by tensor, clips them, and takes the step, on trial or permanently.

The gradients of each layer are clipped by their own norm, so that an adapter learns the same whatever else trains in
the pipeline. An adapter is one layer, with all its parts.

In `nlp.update(examples, sgd=optimizer)` nothing tells an optimizer which tensor is the last. So the step is taken *on
trial* with each tensor that comes: if the new norm changes the clipping, the earlier tensors of its layer are reset and
stepped again. After the last tensor the weights are those of one step over all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from thinc.types import FloatsXd

from .rules import RuleState
from .tensors import Contents, Key, overwrite, square_sum

Gradients = Mapping[str, FloatsXd]  # by the names of their tensors
# Takes a process's gradients, and whether its losses tell of divergence; returns both for all processes.
Reduce = Callable[[Gradients, bool], tuple[Gradients, bool]]


@dataclass
class Pending:
    """One tensor in the step under way. Its array is changed in place.

    key (Key): The number of its layer in Thinc, and its name there.
    contents (Contents | None): The matrices that it consists of, if it was described.
    before (FloatsXd | None): Its values before the step; None until a step is tried.
    scale (float | None): The gradient's scale in the step; None until the tensor is stepped.
    state (RuleState | None): What the rule remembers after the step.
    """

    weights: FloatsXd
    gradient: FloatsXd
    key: Key
    contents: Contents | None = None
    before: FloatsXd | None = None
    scale: float | None = None
    state: RuleState | None = None
    _square: float | None = None

    @property
    def square(self) -> float:
        """The sum of the gradient's squares, computed once."""
        if self._square is None:
            self._square = square_sum(self.gradient)
        return self._square

    def undo(self) -> None:
        """Reset the tensor to its values before the step."""
        if self.before is not None:
            overwrite(self.weights, self.before)
        self.scale = self.state = None


# Steps one tensor, given its name, what is known about it, its weights before the step and its clipped gradient.
Update = Callable[[str, Pending, FloatsXd, FloatsXd], tuple[FloatsXd, RuleState]]


class CollectedGradients:
    """The tensors of the step under way, by their names."""

    def __init__(self) -> None:
        self._pending: dict[str, Pending] = {}

    def __len__(self) -> int:
        """Return how many tensors are there."""
        return len(self._pending)

    def __contains__(self, name: str) -> bool:
        """Return whether a tensor is there."""
        return name in self._pending

    def __iter__(self) -> Iterator[tuple[str, Pending]]:
        """Yield name and tensor sorted by name, in whatever order they came."""
        yield from sorted(self._pending.items())

    def add(self, name: str, pending: Pending) -> None:
        """Add a tensor."""
        self._pending[name] = pending

    def by_name(self) -> dict[str, FloatsXd]:
        """Return all gradients by the tensors' names."""
        return {name: pending.gradient for name, pending in self._pending.items()}

    def exchange(self, gradients: Gradients, new: Callable[[str, FloatsXd], Pending]) -> None:
        """Put other gradients in the place of all. new (Callable): Makes a tensor that was not there."""
        self._pending = {
            name: replace(self._pending[name], gradient=gradient, _square=None)
            if name in self._pending
            else new(name, gradient)
            for name, gradient in gradients.items()
        }

    def norm(self) -> float:
        """Return the norm over all tensors."""
        return norm_of(pending.square for pending in self._pending.values())

    def try_step(self, grad_clip: float, update: Update) -> None:
        """Take a step over the tensors so far, on trial."""
        if not math.isfinite(self.norm()):
            self.undo()
            return
        for pending in self._pending.values():
            pending.before = pending.weights.copy() if pending.before is None else pending.before
        self.step(grad_clip, update)

    def step(self, grad_clip: float, update: Update) -> None:
        """Step every tensor that was not yet stepped with this clipping. grad_clip (float): 0 for no clipping."""
        scales = self._scales(grad_clip)
        for name, pending in self._pending.items():
            scale = scales[pending.key[0]]
            if pending.scale == scale:
                continue
            origin = pending.weights if pending.before is None else pending.before
            weights, pending.state = update(name, pending, origin, pending.gradient * scale)
            overwrite(pending.weights, weights)
            pending.scale = scale

    def _scales(self, grad_clip: float) -> dict[int, float]:
        """Return by layer what its gradients are multiplied by."""
        squares: dict[int, list[float]] = {}
        for pending in self._pending.values():
            squares.setdefault(pending.key[0], []).append(pending.square)
        norms = {layer: norm_of(own) for layer, own in squares.items()}
        return {layer: min(1.0, grad_clip / norm) if grad_clip and norm else 1.0 for layer, norm in norms.items()}

    def undo(self) -> None:
        """Reset every tensor to its values before the step."""
        for pending in self._pending.values():
            pending.undo()

    def clear(self) -> None:
        """Forget the tensors."""
        self._pending = {}


def norm_of(squares: Iterable[float]) -> float:
    """Return the norm over tensors with these sums of squares. Their order makes no difference."""
    squares = list(squares)
    return math.sqrt((math.fsum if all(map(math.isfinite, squares)) else sum)(squares))
