"""The process-wide registry: each backbone exists once per precision and attention, however many pipelines use it.

Entries are held weakly, so the last pipeline that goes frees the weights; a lock keeps two threads from loading the
same one twice.
"""

from __future__ import annotations

import copyreg
import threading
import weakref
from typing import Any

from ..errors import BackboneError, Errors
from .backbone import Backbone
from .fingerprint import fingerprint_folder
from .loading import load_backbone
from .source import OVERRIDE_VARIABLE, BackboneSource, find_backbone

_shared: weakref.WeakValueDictionary[tuple[Any, ...], Backbone] = weakref.WeakValueDictionary()
_lock = threading.Lock()


def get_backbone(source: BackboneSource, fingerprint: str | None = None) -> Backbone:
    """Return the one shared backbone for a source, loading it if this process has not got it yet.

    fingerprint (str | None): The identity that it must have, or None to take what is there.
    RAISES (BackboneError): P101-P109; P105 if the fingerprint is another one.
    """
    path = find_backbone(source)
    found = fingerprint_folder(path)
    if fingerprint is not None and found != fingerprint:
        message = Errors.P105.format(
            expected=fingerprint, got=found, name=source.name, path=path, variable=OVERRIDE_VARIABLE
        )
        raise BackboneError(message)
    key = (found, source.dtype, source.attention, source.quantization)
    with _lock:
        backbone = _shared.get(key)
        if backbone is None:
            backbone = load_backbone(source, path)
            _shared[key] = backbone
    return backbone


def _pickle_reference(backbone: Backbone) -> tuple[Any, ...]:
    """Pickle which backbone it is, not its weights: unpickling finds or loads the same one and verifies it."""
    return get_backbone, (backbone.source, backbone.fingerprint)


copyreg.pickle(Backbone, _pickle_reference)
