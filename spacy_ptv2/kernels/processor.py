"""The vendor of the CPU, which decides what is fast on it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

AMD, INTEL = "AuthenticAMD", "GenuineIntel"
CPU_DESCRIPTION = Path("/proc/cpuinfo")  # Linux only; elsewhere no vendor matches


@cache
def is_made_by(maker: str) -> bool:
    """Return whether the CPU is of this vendor."""
    try:
        return maker in CPU_DESCRIPTION.read_text(encoding="utf8")
    except OSError:
        return False
