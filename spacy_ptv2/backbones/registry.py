"""The process-wide registry: each backbone exists once per precision, attention and device, whoever uses it.

Entries are held weakly: the weights are freed with the last pipeline that uses them. A trained pipeline whose backbone
is alive takes it without touching the disk.
"""

from __future__ import annotations

import copyreg
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ..errors import BackboneError, Errors
from ..kernels.forks import settle_after_fork
from .backbone import Backbone
from .fingerprint import fingerprint_folder
from .loading import load_backbone
from .lookup import check_folder, locate_backbone
from .precision import resolve_precision
from .source import BackboneSource, Candidate, Recorded

CPU = torch.device("cpu")

_shared: weakref.WeakValueDictionary[tuple[Any, ...], Backbone] = weakref.WeakValueDictionary()
_lock = threading.Lock()


def get_backbone(source: BackboneSource, recorded: Recorded | None = None, *, device: torch.device = CPU) -> Backbone:
    """Return the one shared backbone for a source, loading it if this process does not have it yet.

    recorded (Recorded | None): What a trained pipeline recorded about it; None to take what is there.
    device (torch.device): The device of its weights.
    RAISES (BackboneError): P101-P115; P105 if the fingerprint differs.
    """
    settle_after_fork()
    known = recorded.fingerprint if recorded is not None and source.verify == "strict" else None
    if known is not None and source.override is None:
        alive = _shared.get(_key(known, source, device))
        if alive is not None:
            return alive
    return _share(source, locate_backbone(source, recorded), device, known)


def on_device(backbone: Backbone, device: torch.device) -> Backbone:
    """Return the same backbone on another device, loading it there if nobody has. The given one stays where it is."""
    settle_after_fork()
    alive = _shared.get(_key(backbone.fingerprint, backbone.source, device))
    return alive or _share(backbone.source, backbone.found, device)


@contextmanager
def own_backbones() -> Iterator[None]:
    """Load backbones that nothing outside this block gets, nor anything after it: their weights may be trained."""
    global _shared
    outside, _shared = _shared, weakref.WeakValueDictionary()
    try:
        yield
    finally:
        _shared = outside


def _share(source: BackboneSource, found: Candidate, device: torch.device, fingerprint: str | None = None) -> Backbone:
    """Return the shared backbone of a folder. fingerprint (str | None): That of its files, if already known."""
    fingerprint = fingerprint or _fingerprint(found.path)
    key = _key(fingerprint, source, device)
    with _lock:
        backbone = _shared.get(key)
        if backbone is None:
            backbone = load_backbone(source, found, device, fingerprint)
            _shared[key] = backbone
    return backbone


def _fingerprint(path: Path) -> str:
    try:
        return fingerprint_folder(path)
    except OSError as error:
        raise BackboneError(Errors.P108.format(path=path, error=error)) from error


def _key(fingerprint: str, source: BackboneSource, device: torch.device) -> tuple[Any, ...]:
    return fingerprint, resolve_precision(source.dtype, device), str(device), source.attention, source.quantization


def _restore(source: BackboneSource, recorded: Recorded, path: Path, device: torch.device) -> Backbone:
    """Unpickle a backbone: take the one alive here, or load it from the same folder, or find it elsewhere."""
    settle_after_fork()
    alive = _shared.get(_key(recorded.fingerprint, source, device))
    if alive is not None:
        return alive
    try:
        is_there = fingerprint_folder(check_folder(path)) == recorded.fingerprint
    except (BackboneError, OSError):
        is_there = False
    if is_there:
        found = Candidate(path, str(path), revision=recorded.revision, requirement=recorded.requirement)
        return _share(source, found, device, recorded.fingerprint)
    return get_backbone(source, recorded, device=device)


def _pickle_reference(backbone: Backbone) -> tuple[Any, ...]:
    """Pickle a backbone's identity and location, not its weights."""
    return _restore, (backbone.source, backbone.recorded, backbone.path, backbone.device)


copyreg.pickle(Backbone, _pickle_reference)
