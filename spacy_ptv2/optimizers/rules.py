"""What an update rule is: it steps one tensor, given its gradient and what the rule remembers about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from thinc.api import get_array_module
from thinc.types import FloatsXd

from .tensors import Contents


@dataclass(frozen=True)
class RuleState:
    """What a rule remembers about a tensor.

    arrays (Mapping[str, FloatsXd]): By name, each of the tensor's shape.
    steps (int): Taken so far.
    """

    arrays: Mapping[str, FloatsXd] = field(default_factory=dict)
    steps: int = 0

    def array(self, name: str, weights: FloatsXd) -> FloatsXd:
        """Return one of the arrays; before the first step, zeros."""
        found = self.arrays.get(name)
        return get_array_module(weights).zeros_like(weights) if found is None else found


class StepSize(NamedTuple):
    """How large a tensor's step is.

    rate (float | FloatsXd): Its learning rate, or that of each column. decay (float): Its decoupled weight decay.
    """

    rate: FloatsXd | float
    decay: float

    def shrink(self, weights: FloatsXd) -> FloatsXd:
        """Return the weights after their decay."""
        return weights * (1 - self.rate * self.decay)


class UpdateRule(Protocol):
    """Steps one tensor at a time, and changes nothing in place."""

    @property
    def name(self) -> str:
        """Marks the rule's saved states."""

    def updated(
        self, weights: FloatsXd, gradient: FloatsXd, state: RuleState, size: StepSize, contents: Contents | None
    ) -> tuple[FloatsXd, RuleState]:
        """Return a tensor after this step, and its new state.

        gradient (FloatsXd): Clipped. Like the result, it has the shape of the weights.
        contents (Contents | None): The matrices that the tensor consists of, if it was described.
        """
