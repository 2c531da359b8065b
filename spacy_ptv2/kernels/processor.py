"""The vendor of the CPU, which decides what is fast on it."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

AMD, INTEL = "AuthenticAMD", "GenuineIntel"
CPU_DESCRIPTION = Path("/proc/cpuinfo")  # Linux only; elsewhere no vendor matches


@cache
def describe() -> str:
    """Return what kind of CPU this is: its name, and the instructions that it has, as far as they are told."""
    told = _description().split("\n\n")[0].splitlines()
    lines = [line for line in told if line.startswith(("model name", "flags", "Features"))]
    return "\n".join(lines) or platform.processor() or platform.machine()


@cache
def is_made_by(maker: str) -> bool:
    """Return whether the CPU is of this vendor."""
    return maker in _description()


def _description() -> str:
    try:
        return CPU_DESCRIPTION.read_text(encoding="utf8")
    except OSError:
        return ""
