"""Restarts of training that has diverged: all tensors are reset to their values before their first step."""

from __future__ import annotations

from dataclasses import dataclass

from thinc.types import FloatsXd

from .tensors import overwrite

LOWER = 1 / 3  # rates after a restart, as a share of those before it
WARMUP_STEPS = 20  # after a restart, in which the rates rise to that


@dataclass
class Start:
    """A tensor's array, and its values before its first step."""

    weights: FloatsXd
    values: FloatsXd


class Restarts:
    """The start of every tensor, by name. most (int): How many restarts are allowed."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.n = 0  # so far
        self.starts: dict[str, Start] = {}

    @property
    def left(self) -> int:
        """How many restarts are left."""
        return self.most - self.n

    def note(self, name: str, weights: FloatsXd) -> None:
        """Remember a tensor's current array, and its values if this is before its first step."""
        if name in self.starts:
            self.starts[name].weights = weights
        elif self.most:
            self.starts[name] = Start(weights, weights.copy())

    def restart(self) -> None:
        """Reset every tensor to its start."""
        for start in self.starts.values():
            overwrite(start.weights, start.values)
        self.n += 1

    def share(self, step: int) -> float:
        """Return the share of the configured rates at a step after the last restart; the first is step 1."""
        rise = min(1.0, step / WARMUP_STEPS) if self.n else 1.0
        return float(self.peak * rise)

    @property
    def peak(self) -> float:
        """The share of the configured rates after the warm-up."""
        return float(LOWER**self.n)
