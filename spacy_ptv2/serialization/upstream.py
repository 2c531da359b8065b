"""The checksum of the trained tensors upstream, saved with a component that listens to them.

A head reads vectors that one prompt made it for; over another prompt, of the same backbone and width, it would run and
be wrong. Saved with the component, our own or one of spaCy's, the checksum is compared when the component is loaded
after its upstream. Components that are combined in memory (`source`) are saved with what is upstream then.
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
    """The attribute of a listener that Thinc saves and loads with any model that the listener is in."""


def listen_to(listener: Model[Any, Any], upstream: HasModel) -> None:
    """Tell a listener which component its vectors come from."""
    _upstreams[listener] = weakref.ref(upstream)


def upstream_checksum(listener: Model[Any, Any]) -> str | None:
    """Return the checksum of what is upstream now, None where nothing is, or nothing trained."""
    upstream = _upstream(listener)
    tensors = {} if upstream is None else trained_tensors(upstream)
    return checksum_of(tensors) if tensors else None


def check_upstream(listener: Model[Any, Any], recorded: object, where: str) -> None:
    """Compare what a listener was saved with and what is upstream now, where that was loaded as well.

    RAISES (FormatError): P308 if they differ, P640 if the record is none.
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
    """Return the prompt of a node, if it has one."""
    return next((shim for shim in node.shims if isinstance(shim, AdapterShim)), None)


def trained_tensors(model: Model[Any, Any]) -> dict[str, Any]:
    """Return all that a model has learned: by the number of the node and the name there."""
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
