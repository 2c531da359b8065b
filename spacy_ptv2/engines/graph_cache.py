"""Converted graphs, kept across processes in the user's cache directory, so that only the first process converts.

In: a key and what makes the graph. Out: the graph, as OpenVINO reads and writes it (a description and raw weights: no
code, no pickle). Nothing depends on the cache: what cannot be read is made, what cannot be written is forgotten, and
beyond a size the graphs that were not used for longest go.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from .openvino_graph import load_openvino

MOST_BYTES = 4 << 30
DESCRIPTION = "graph.xml"  # its weights are beside it, in graph.bin


def recall_graph(key: str, convert: Callable[[], Any]) -> Any:
    """Return the graph of a key, converting it if it is not kept. RETURNS (openvino.Model)"""
    folder = _folder(key)
    with suppress(OSError, RuntimeError):  # RuntimeError: a damaged description
        graph = load_openvino().Core().read_model(folder / DESCRIPTION)
        os.utime(folder)
        return graph
    forget_graph(key)  # if it is there, it is damaged
    graph = convert()
    with suppress(OSError, RuntimeError):
        _keep(graph, folder)
    return graph


def forget_graph(key: str) -> None:
    """Take a graph out of the cache."""
    shutil.rmtree(_folder(key), ignore_errors=True)


def _folder(key: str) -> Path:
    return _cache_folder() / hashlib.sha256(key.encode("utf8")).hexdigest()


def _cache_folder() -> Path:
    return user_cache_path("spacy-ptv2") / "graphs"


def _keep(graph: Any, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
        load_openvino().save_model(graph, Path(unfinished) / "new" / DESCRIPTION, compress_to_fp16=False)
        (Path(unfinished) / "new").rename(folder)
    _prune(folder.parent)


def _prune(parent: Path) -> None:
    """Remove graphs, those not used for longest first, until the others fit the limit."""
    total = 0
    folders = [description.parent for description in parent.glob(f"*/{DESCRIPTION}")]
    for folder in sorted(folders, key=lambda entry: entry.stat().st_mtime, reverse=True):
        total += sum(file.stat().st_size for file in folder.iterdir())
        if total > MOST_BYTES:
            shutil.rmtree(folder, ignore_errors=True)
