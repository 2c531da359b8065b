"""The identity of a backbone: one sha256 over its weights, config and tokenizer files.

Two folders have the same fingerprint exactly if every file that decides the outputs is byte-identical, whatever the
folder is called and wherever it came from.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

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


def fingerprint_folder(path: Path) -> str:
    """Return the hexadecimal sha256 over the names and contents of the files that identify a backbone."""
    total = hashlib.sha256()
    for file in identity_files(path):
        total.update(f"{file.name}:{hash_file(file)}\n".encode())
    return total.hexdigest()


def identity_files(path: Path) -> list[Path]:
    """Return the files that the fingerprint covers, sorted by name."""
    return sorted({file for pattern in IDENTITY_PATTERNS for file in path.glob(pattern) if file.is_file()})


def hash_file(file: Path) -> str:
    """Return the hexadecimal sha256 of a file; an unchanged file is read once per process."""
    stat = file.stat()
    return _hash_file(file, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=256)
def _hash_file(file: Path, size: int, mtime_ns: int) -> str:
    """Hash one file; size and time are part of the cache key, so that a changed file is read again."""
    with file.open("rb") as stream:
        digest = hashlib.sha256()  # hashlib.file_digest came with Python 3.11
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
        return digest.hexdigest()
