"""The identity of a backbone: one sha256 over its weights, config and tokenizer files.

Two folders have the same fingerprint if and only if all files that determine the outputs are byte-identical, whatever
the folders are called and wherever they came from.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from .hash_cache import hash_file

IDENTITY_PATTERNS = (
    "config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
)


def fingerprint_folder(path: Path, *, cached: bool = True) -> str:
    """Return the hexadecimal sha256 of the names and contents of the files that identify a backbone.

    cached (bool): Whether hashes of unchanged large files may be read from the user's cache directory.
    """
    total = hashlib.sha256()
    for file in identity_files(path):
        total.update(f"{file.name}:{hash_file(file, cached=cached)}\n".encode())
    return total.hexdigest()


def identity_files(path: Path) -> list[Path]:
    """Return the files that the fingerprint covers, sorted by name."""
    return sorted({file for pattern in IDENTITY_PATTERNS for file in path.glob(pattern) if file.is_file()})
