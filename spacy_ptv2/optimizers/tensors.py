"""Trained tensors as an optimizer sees them: their Thinc keys, and arrays that change in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from thinc.backends import get_array_ops

Key = tuple[int, str]  # number of a Thinc node or shim, name of its tensor


@dataclass(frozen=True)
class Blocks:
    """Which matrices a tensor is made of.

    row_counts (tuple[int, ...]): Rows of the matrices, one below the other.
    n_heads (int): How many matrices stand side by side.
    """

    row_counts: tuple[int, ...]
    n_heads: int


@dataclass(frozen=True)
class LowRank:
    """A tensor that consists of low-rank matrices side by side: of each linear layer A, then B.

    widths (tuple[tuple[int, int], ...]): Columns of each A, and of each B.
    """

    widths: tuple[tuple[int, int], ...]


Contents = Blocks | LowRank


def rate_factors(contents: Contents | None, loraplus_ratio: float, weights: Any) -> Any:
    """Return what a tensor's rate is multiplied with: 1, and for B the ratio.

    Source: Hayou et al. 2024, https://arxiv.org/abs/2402.12354.
    RETURNS (float | FloatsXd): A number, or one for each column, on the device of the weights.
    """
    if not isinstance(contents, LowRank):
        return 1.0
    of_one = np.array([1.0, loraplus_ratio] * len(contents.widths), dtype="float32")
    return get_array_ops(weights).asarray(of_one.repeat([width for pair in contents.widths for width in pair]))


def overwrite(array: Any, values: Any) -> None:
    """Write values into an array in place."""
    array[...] = values


def square_sum(array: Any) -> float:
    """Return the sum of squares, in double precision."""
    return float((array.astype("float64") ** 2).sum())


def copy_to_numpy(array: Any) -> NDArray[Any]:
    """Return a copy as a numpy array, whether the original is on the CPU or on a GPU."""
    return np.array(get_array_ops(array).to_numpy(array))


def copy_like(array: Any, values: NDArray[Any]) -> Any:
    """Return a copy of the values on the device of the array."""
    return get_array_ops(array).asarray(values.copy())
