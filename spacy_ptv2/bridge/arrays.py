"""From the numpy arrays of alignment to arrays on a layer's device."""

from __future__ import annotations

from typing import Any

from thinc.api import Ops
from thinc.types import Ints1d

from ..alignment import pieces


def to_ints(ops: Ops, array: pieces.Ints1d) -> Ints1d:
    """Return indices or lengths as int32 of the ops' kind. Shape of both: (n,)"""
    numbers: Any = array  # numpy's type and Thinc's do not know each other
    return ops.asarray1i(numbers)
