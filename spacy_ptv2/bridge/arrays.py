"""Moves numpy arrays from alignment to a layer's device."""

from __future__ import annotations

from typing import Any

from thinc.api import Ops
from thinc.types import Ints1d

from ..alignment import pieces


def to_ints(ops: Ops, array: pieces.Ints1d) -> Ints1d:
    """Return indices or lengths as an int32 array of the ops. Shape of both: (n,)"""
    numbers: Any = array  # the types of numpy and Thinc are unrelated
    return ops.asarray1i(numbers)
