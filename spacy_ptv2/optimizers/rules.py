"""What an update rule is: a step of one tensor, from its gradient and what the rule remembers of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from thinc.api import get_array_module
from thinc.types import FloatsXd

from .tensors import Blocks


@dataclass(frozen=True)
class RuleState:
    """What a rule remembers of a tensor: arrays of its shape by their names, and how many steps they are of."""

    arrays: Mapping[str, FloatsXd] = field(default_factory=dict)
    steps: int = 0

    def array(self, name: str, weights: FloatsXd) -> FloatsXd:
        """Return an array of the state, before the first step zeros of the shape of the weights."""
        found = self.arrays.get(name)
        return get_array_module(weights).zeros_like(weights) if found is None else found


class StepSize(NamedTuple):
    """How far a tensor goes in this step. rate: Its learning rate. decay: Its decoupled weight decay."""

    rate: float
    decay: float

    def shrink(self, weights: FloatsXd) -> FloatsXd:
        """Return the weights after their decay."""
        return weights * (1 - self.rate * self.decay)


class UpdateRule(Protocol):
    """How tensors are stepped. Knows one tensor at a time and changes nothing in place."""

    @property
    def name(self) -> str:
        """What states of this rule are marked with."""

    def updated(
        self, weights: FloatsXd, gradient: FloatsXd, state: RuleState, size: StepSize, blocks: Blocks | None
    ) -> tuple[FloatsXd, RuleState]:
        """Return what a tensor is after this step, and what is remembered of it.

        gradient (FloatsXd): Clipped. Shape of all: that of the weights. blocks (Blocks | None): The matrices that the
        tensor is made of, None if it was not described.
        """
