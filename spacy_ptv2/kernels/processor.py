"""Who made the CPU, which decides what is fast on it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

AMD, INTEL = "AuthenticAMD", "GenuineIntel"
CPU_DESCRIPTION = Path("/proc/cpuinfo")  # Linux; elsewhere it is nobody's


@cache
def is_made_by(maker: str) -> bool:
    """Return whether the CPU is a maker's."""
    try:
        return maker in CPU_DESCRIPTION.read_text(encoding="utf8")
    except OSError:
        return False
