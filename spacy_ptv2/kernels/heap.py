"""Returns memory that was freed but is still held to the system, now and then.

Passes of ever other sizes leave gaps in the C library's heap: after some minutes of varied texts 200 MB with torch and
400 MB with OpenVINO were free and still counted (MiniLM; `python -m benchmarks.memory.long_runs stream`).
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any

SECONDS = 1.0  # between two times; each takes 8 ms, less than a hundredth of the time in all
_last = time.monotonic()


def give_back() -> None:
    """Let the C library return what it does not use, where it can (glibc) and has not just done so."""
    global _last
    trim, now = _find_trim(), time.monotonic()
    if trim is not None and now - _last >= SECONDS:
        _last = now
        trim(0)


@cache
def _find_trim() -> Callable[[int], Any] | None:
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
