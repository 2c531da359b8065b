"""The layer that puts the rows of each sequence side by side, such as the vectors of two marked words."""

from __future__ import annotations

from collections.abc import Callable

from thinc.api import Model
from thinc.types import Floats2d

from ..errors import Errors, PTuningError

InT = list[Floats2d]
OutT = list[Floats2d]


def JoinRows(n_rows: int) -> Model[InT, OutT]:
    """Build the layer.

    n_rows (int): Rows of each sequence.
    X (list[Floats2d]): Shape of each: (n_rows, width). Y (list[Floats2d]): Shape of each: (1, n_rows * width)
    RAISES (PTuningError): P443 for a sequence with another number of rows.
    """
    return Model("join_rows", forward, attrs={"n_rows": n_rows})


def forward(model: Model[InT, OutT], X: InT, is_train: bool) -> tuple[OutT, Callable[[OutT], InT]]:
    """See `JoinRows`."""
    n_rows = model.attrs["n_rows"]
    for rows in X:
        if len(rows) != n_rows:
            raise PTuningError(Errors.P443.format(expected=n_rows, got=len(rows)))

    def backprop(dY: OutT) -> InT:
        return [model.ops.reshape2f(rows, n_rows, -1) for rows in dY]

    return [model.ops.reshape2f(rows, 1, -1) for rows in X], backprop
