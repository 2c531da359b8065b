"""The checksum of the trained tensors upstream, saved with a component that listens to them.

A head reads the vectors of the adapter that it was trained with. Over another adapter, of the same backbone and width,
it would run but be wrong. So the checksum is saved with the component, ours or one of spaCy's, and compared when the
component is loaded after its upstream. Components combined in memory (`source`) are saved with what is then upstream.
"""

from __future__ import annotations

import weakref
from typing import Any, Protocol

import srsly
from thinc.api import Model, deserialize_attr, serialize_attr

from ..bridge.adapter_shim import AdapterShim
from ..errors import Errors, FormatError
from .tensors import checksum_of

ATTRIBUTE = "upstream"
_upstreams: weakref.WeakKeyDictionary[Model[Any, Any], weakref.ref[HasModel]] = weakref.WeakKeyDictionary()


class HasModel(Protocol):
    """A component; Thinc's models take no weak references."""

    model: Model[Any, Any]


class UpstreamRecord:
    """The attribute of a listener that Thinc saves and loads with any model that contains the listener."""


def listen_to(listener: Model[Any, Any], upstream: HasModel) -> None:
    """Tell a listener which component its vectors come from."""
    _upstreams[listener] = weakref.ref(upstream)


def upstream_checksum(listener: Model[Any, Any]) -> str | None:
    """Return the checksum of what is upstream now; None if there is nothing, or nothing trained."""
    upstream = _upstream(listener)
    tensors = {} if upstream is None else trained_tensors(upstream)
    return checksum_of(tensors) if tensors else None


def check_upstream(listener: Model[Any, Any], recorded: object, where: str) -> None:
    """Compare what a listener was saved with to what is upstream now, if that was loaded too.

    RAISES (FormatError): P308 if they differ, P640 if the record is not a checksum.
    """
    if recorded is None:
        return
    if not isinstance(recorded, str):
        raise FormatError(Errors.P640.format(path=where, field=ATTRIBUTE, expected="a checksum", got=recorded))
    upstream = _upstream(listener)
    shims = [] if upstream is None else [shim for node in upstream.walk() if (shim := find_shim(node)) is not None]
    if all(shim.loaded_record is None for shim in shims):
        return
    found = upstream_checksum(listener)
    if found != recorded:
        raise FormatError(Errors.P308.format(path=where, got=found, expected=recorded))


def find_shim(node: Model[Any, Any]) -> AdapterShim | None:
    """Return the adapter shim of a node, if it has one."""
    return next((shim for shim in node.shims if isinstance(shim, AdapterShim)), None)


def trained_tensors(model: Model[Any, Any]) -> dict[str, Any]:
    """Return everything that a model has learned, by the node's number and the name there."""
    tensors: dict[str, Any] = {}
    for index, node in enumerate(model.walk()):
        for name in node.param_names:
            if node.has_param(name):
                tensors[f"{index}.{name}"] = model.ops.to_numpy(node.get_param(name))
        shim = find_shim(node)
        if shim is not None and shim.is_initialized:
            tensors.update({f"{index}.{name}": tensor.cpu().numpy() for name, tensor in shim.export_state().items()})
    return tensors


def _upstream(listener: Model[Any, Any]) -> Model[Any, Any] | None:
    reference = _upstreams.get(listener)
    component = None if reference is None else reference()
    return None if component is None else component.model


@serialize_attr.register
def _serialize(_: UpstreamRecord, value: Any, name: str, model: Model[Any, Any]) -> bytes:
    return bytes(srsly.msgpack_dumps(upstream_checksum(model)))


@deserialize_attr.register
def _deserialize(record: UpstreamRecord, value: bytes, name: str, model: Model[Any, Any]) -> UpstreamRecord:
    check_upstream(model, srsly.msgpack_loads(value), f"a component with {model.name}")
    return record
