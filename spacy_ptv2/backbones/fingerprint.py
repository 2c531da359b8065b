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
        stat = file.stat()
        total.update(f"{file.name}:{_hash_file(file, stat.st_size, stat.st_mtime_ns)}\n".encode())
    return total.hexdigest()


def identity_files(path: Path) -> list[Path]:
    """Return the files that the fingerprint covers, sorted by name."""
    return sorted({file for pattern in IDENTITY_PATTERNS for file in path.glob(pattern) if file.is_file()})


@lru_cache(maxsize=256)
def _hash_file(file: Path, size: int, mtime_ns: int) -> str:
    """Hash one file; size and time are part of the cache key, so that a changed file is read again."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(stream)


def _digest(stream) -> str:  # type: ignore[no-untyped-def]
    """hashlib.file_digest for Python 3.10."""
    digest = hashlib.sha256()
    while chunk := stream.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()
