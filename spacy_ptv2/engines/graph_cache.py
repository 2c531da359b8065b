"""Converted graphs, stored in the user's cache directory, so that only the first process converts.

In: a key, and a graph to keep. Out: the graph, in OpenVINO's own format (a description and raw weights:
no code, no pickle). Each file is compared with its checksum before it is used (CRC-32 detects damage, not malice:
whoever can write here can write a checksum). Nothing depends on the cache: an unreadable graph is made again, a failed
write is ignored, and beyond a total size the least recently used graphs are deleted.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from ..reading import read_object
from .openvino_graph import load_core, load_openvino

MOST_BYTES = 4 << 30
DESCRIPTION, WEIGHTS = "graph.xml", "graph.bin"
CHECKSUMS = "checksums.json"  # size and CRC-32 of both
ABANDONED_AFTER = 3600  # seconds; no graph takes as long to write, so the process that began was killed


def has_graph(key: str) -> bool:
    """Return whether the cache has a graph of a key, in whatever state."""
    return (_folder(key) / CHECKSUMS).is_file()


def recall_graph(key: str) -> Any | None:
    """Return the graph of a key, None if the cache has none. RETURNS (openvino.Model | None)"""
    folder = _folder(key)
    with suppress(OSError, ValueError, RuntimeError):  # RuntimeError: written by another version of OpenVINO
        if read_object(folder / CHECKSUMS) == _checksums(folder):
            graph = load_core().read_model(folder / DESCRIPTION)
            os.utime(folder)
            return graph
    forget_graph(key)  # a graph that is there is damaged
    return None


def keep_graph(key: str, graph: Any) -> None:
    """Write a graph (openvino.Model) into the cache, if that can be done."""
    with suppress(OSError, RuntimeError):
        _keep(graph, _folder(key))


def forget_graph(key: str) -> None:
    """Remove a graph from the cache."""
    shutil.rmtree(_folder(key), ignore_errors=True)


def _folder(key: str) -> Path:
    return _cache_folder() / hashlib.sha256(key.encode("utf8")).hexdigest()


def _cache_folder() -> Path:
    return user_cache_path("spacy-ptv2") / "graphs"


def _keep(graph: Any, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
        new = Path(unfinished) / "new"
        load_openvino().save_model(graph, new / DESCRIPTION, compress_to_fp16=False)
        (new / CHECKSUMS).write_text(json.dumps(_checksums(new)), encoding="utf8")
        new.rename(folder)
    _prune(folder.parent)


def _checksums(folder: Path) -> dict[str, list[int]]:
    return {name: _checksum(folder / name) for name in (DESCRIPTION, WEIGHTS)}


def _checksum(file: Path) -> list[int]:
    size = crc = 0
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            size, crc = size + len(chunk), zlib.crc32(chunk, crc)
    return [size, crc]


def _prune(parent: Path) -> None:
    """Remove what killed processes left, then the least recently used graphs until the rest fits."""
    total = 0
    folders = [(entry.stat().st_mtime, entry) for entry in parent.iterdir() if entry.is_dir()]
    for used, folder in sorted(folders, reverse=True):
        total += sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        is_abandoned = not (folder / DESCRIPTION).is_file() and time.time() - used > ABANDONED_AFTER
        if is_abandoned or total > MOST_BYTES:
            shutil.rmtree(folder, ignore_errors=True)
