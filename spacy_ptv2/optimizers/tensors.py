"""What an optimizer keeps of each tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from thinc.types import FloatsXd

Key = tuple[int, str]  # number of a node or shim of Thinc, name of its tensor


@dataclass(frozen=True)
class Moments:
    """Running moments of one tensor, and how many steps they are of."""

    first: FloatsXd
    second: FloatsXd
    steps: int = 0


@dataclass
class Pending:
    """One tensor that waits for the end of the step: its array is changed in place.

    before (FloatsXd | None): What it was before the step, once that was tried. scale (float | None): With which its
    gradient was stepped; None as long as it was not. moments (Moments | None): After that.
    """

    weights: FloatsXd
    gradient: FloatsXd
    square: float
    before: FloatsXd | None = None
    scale: float | None = None
    moments: Moments | None = None

    def undo(self) -> None:
        """Put the tensor back to what it was before the step."""
        if self.before is not None:
            overwrite(self.weights, self.before)
        self.scale = self.moments = None


@dataclass
class Start:
    """A tensor, and what it was before its first step."""

    weights: FloatsXd
    values: FloatsXd


def overwrite(array: Any, values: Any) -> None:
    """Put values into an array in place."""
    array[...] = values


def square_sum(array: Any) -> float:
    """Return the sum of squares, in double precision."""
    return float((array.astype("float64") ** 2).sum())
