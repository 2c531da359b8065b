"""Periodically returns memory that was freed, but that the C library still holds, to the operating system.

Passes of varying sizes leave gaps in the C library's heap: after some minutes of varied texts, 200 MB with torch and
400 MB with OpenVINO were free but still counted as used (MiniLM; `python -m benchmarks.memory.long_runs stream`).
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any

SECONDS = 1.0  # at least, between two trims; each takes 8 ms, so less than a hundredth of the total time
_last = time.monotonic()


def give_back() -> None:
    """Make the C library return what it does not use, if it can (glibc) and has not done so within `SECONDS`."""
    global _last
    trim, now = _find_trim(), time.monotonic()
    if trim is not None and now - _last >= SECONDS:
        _last = now
        trim(0)


@cache
def _find_trim() -> Callable[[int], Any] | None:
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
