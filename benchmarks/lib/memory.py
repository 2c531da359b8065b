"""Peak memory of a piece of work, in a process of its own (Linux)."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def in_fresh_process(function: Callable[..., T], *arguments: Any) -> T:
    """Return what a function returns in a new process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def resident_bytes(process: int | None = None) -> int:
    """Return the resident memory of a process by its number, of this one for None."""
    gc.collect()
    pages = int(Path("/proc", "self" if process is None else str(process), "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak_bytes(run: Callable[[], object]) -> int:
    """Return by how much a call raises the resident memory of this process at most, what is free given back before."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before = resident_bytes()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    run()
    status = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in status if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024 - before
