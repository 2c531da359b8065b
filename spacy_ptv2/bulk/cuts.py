"""The part of an input that a shard is made of."""

from __future__ import annotations

from typing import NamedTuple


class Cut(NamedTuple):
    """Lines, rows, Docs or files of an input.

    start, stop (int): Their numbers, from 0. offset (int): Where they begin in the file, in bytes, if it has no index.
    """

    start: int
    stop: int
    offset: int = 0
