"""Averages of the steps, which are evaluated and saved in place of the last one.

Source: Shamir and Zhang 2013, section 4 (polynomial-decay averaging), https://arxiv.org/abs/1212.1824.
"""

from __future__ import annotations

from thinc.types import FloatsXd

AVERAGING = 8  # eta of the source: two thirds of the weight is on the last ninth of the steps


class Averages:
    """The averages of tensors, by their names."""

    def __init__(self) -> None:
        self.arrays: dict[str, FloatsXd] = {}

    def take_in(self, name: str, weights: FloatsXd, step: int) -> None:
        """Let a tensor's average take in what it is after a step; the first is step 1."""
        if name not in self.arrays:
            self.arrays[name] = weights.copy()
        self.arrays[name] += averaging_share(step) * (weights - self.arrays[name])


def averaging_share(step: int) -> float:
    """Return how much of an average of the steps the newest has; the first is step 1."""
    return (AVERAGING + 1) / (AVERAGING + step)
