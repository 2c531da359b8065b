"""Hashes of large files, kept across processes in the user's cache directory.

In: a file. Out: its sha256, computed again only when size, times or inode have changed. The cache has one small JSON
file per hashed file. Nothing depends on it: an unreadable entry is recomputed, a failed write is ignored.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from ..reading import read_object

WORTH_KEEPING = 1 << 20  # bytes; hashing a smaller file takes about as long as a look into the cache
# A file that changed just now may change again within the same tick of the file system's clock.
SETTLED_AFTER_NS = 2_000_000_000


def hash_file(file: Path, *, cached: bool = True) -> str:
    """Return the hexadecimal sha256 of a file. cached (bool): Whether an earlier result may be used."""
    before = _state(file)
    if not cached or before["size"] < WORTH_KEEPING:
        return _compute(file)
    entry = _cache_folder() / f"{hashlib.sha256(before['path'].encode('utf8', 'surrogateescape')).hexdigest()}.json"
    known = _read(entry, before)
    if known is not None:
        return known
    digest = _compute(file)
    is_settled = time.time_ns() - max(before["mtime_ns"], before["ctime_ns"]) > SETTLED_AFTER_NS
    if is_settled and _state(file) == before:
        write_entry(entry, {**before, "sha256": digest})
    return digest


def _state(file: Path) -> dict[str, Any]:
    stat = file.stat()
    return {
        "path": str(file.resolve()),
        "size": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "ctime_ns": stat.st_ctime_ns,
        "inode": stat.st_ino,
    }


def _cache_folder() -> Path:
    return user_cache_path("spacy-ptv2") / "hashes"


def _read(entry: Path, state: dict[str, Any]) -> str | None:
    try:
        saved = read_object(entry)
        digest = saved.pop("sha256", None)
    except (OSError, ValueError):
        return None
    is_digest = isinstance(digest, str) and len(digest) == 64 and set(digest) <= set("0123456789abcdef")
    return digest if is_digest and saved == state else None


def write_entry(entry: Path, content: dict[str, Any]) -> None:
    """Write a JSON file as a whole, or not at all where that is impossible."""
    with suppress(OSError):
        entry.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=entry.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf8") as stream:
                json.dump(content, stream)
            Path(name).replace(entry)
        except OSError:
            Path(name).unlink(missing_ok=True)


def _compute(file: Path) -> str:
    with file.open("rb") as stream:
        digest = hashlib.sha256()  # hashlib.file_digest came with Python 3.11
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
        return digest.hexdigest()
