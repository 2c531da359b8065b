"""Averages of the weights over all steps, which are evaluated and saved instead of the last step.

Source: Shamir and Zhang 2013, section 4 (polynomial-decay averaging), https://arxiv.org/abs/1212.1824.
"""

from __future__ import annotations

from thinc.types import FloatsXd

AVERAGING = 8  # eta in the source; it puts two thirds of the weight on the last ninth of the steps


class Averages:
    """The averages of tensors, by their names."""

    def __init__(self) -> None:
        self.arrays: dict[str, FloatsXd] = {}

    def take_in(self, name: str, weights: FloatsXd, step: int) -> None:
        """Update a tensor's average with its values after a step; the first is step 1."""
        if name not in self.arrays:
            self.arrays[name] = weights.copy()
        self.arrays[name] += averaging_share(step) * (weights - self.arrays[name])


def averaging_share(step: int) -> float:
    """Return the share that the newest step has in an average; the first is step 1."""
    return (AVERAGING + 1) / (AVERAGING + step)
