"""What a result in the user's cache directory depends on besides its inputs: our own code, and others' versions."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

# What loads a backbone and adapts it; in a checkout it changes between versions.
LOADING_CODE = tuple(Path(__file__).parents[1] / room for room in ("adapters", "backbones", "injection", "kernels"))


@cache
def makers(folders: tuple[Path, ...], packages: tuple[str, ...]) -> list[str]:
    """Return a hash of the Python code in some folders, and the versions of installed packages."""
    code = b"".join(file.read_bytes() for folder in folders for file in sorted(folder.rglob("*.py")))
    return [hashlib.sha256(code).hexdigest(), *(f"{name} {version(name)}" for name in packages)]
