"""The most memory that this process has used so far: resident memory, and that of its GPU.

In: nothing. Out: bytes, or None where the system does not say. Linux has it in /proc, where it begins with the program;
`getrusage`, which macOS has, would on Linux also count the process that started this one. Windows has neither.
Source: https://man7.org/linux/man-pages/man5/proc_pid_status.5.html (VmHWM).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")
PEAK = re.compile(r"^VmHWM:\s*(\d+) kB$", re.MULTILINE)


def peak_memory() -> int | None:
    """Return the most bytes of memory that were resident at once; files that are mapped into it count."""
    try:
        found = PEAK.search(STATUS.read_text(encoding="ascii", errors="replace"))
    except OSError:  # no /proc
        found = None
    if found is not None:
        return 1024 * int(found[1])
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def peak_gpu_memory() -> int | None:
    """Return the most bytes that torch's tensors took on the current GPU at once; None if no GPU was used."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else None
