"""The trained tensors of any Thinc model as safetensors: parameters of its nodes, adapters of its shims.

In: a model. Out: bytes with one header: the dimensions of every node (so that a fresh model gets its sizes back), the
headers of the adapters, and a checksum. The model that reads them must have the same nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
import torch
from thinc.api import Model
from thinc.types import FloatsXd

from ..bridge.adapter_shim import AdapterShim
from ..errors import Errors, FormatError
from ..layers.listener import PTuningListener
from ..parameter_groups import part_of
from .tensors import dump_tensors, load_tensors
from .upstream import ATTRIBUTE, check_upstream, find_shim, trained_tensors, upstream_checksum

AXES = {("linear", "W"): ("nO", "nI"), ("linear", "b"): ("nO",)}  # of Thinc's layer, which is the head
PROMPTED = ("encode_pieces", "tok2vec_ptuning", "transformer_model")  # their nO is the backbone's width
# Before a file is read, their nO is that of the backbone found first. The file's is compared with the right one later.
TAKEN_OVER = (*PROMPTED, PTuningListener.name)


def model_to_bytes(model: Model[Any, Any], outputs: Sequence[str] | None = None) -> bytes:
    """Return everything that a model has learned.

    outputs (Sequence[str] | None): What the columns of its output stand for; None if they have no names.
    """
    nodes: list[dict[str, Any]] = []
    for node in model.walk():
        entry: dict[str, Any] = {"name": _leaf_name(node), "dims": {d: node.maybe_get_dim(d) for d in node.dim_names}}
        shim = find_shim(node)
        if shim is not None and shim.is_initialized:
            entry["adapter"] = shim.header()
        if ATTRIBUTE in node.attrs:
            entry[ATTRIBUTE] = upstream_checksum(node)
        nodes.append(entry)
    header = {"nodes": nodes} if outputs is None else {"nodes": nodes, "outputs": list(outputs)}
    return dump_tensors(trained_tensors(model), header)


def model_from_bytes(model: Model[Any, Any], data: bytes, where: str, outputs: Sequence[str] | None = None) -> None:
    """Restore what `model_to_bytes` returned into a model of the same structure.

    where (str): Where the bytes come from, for messages.
    outputs (Sequence[str] | None): As there.
    RAISES (FormatError, BackboneError): P301, P303-P309, P640; P101, P105.
    """
    for prompted in adapter_shims(model):
        prompted.withdraw_download()
    tensors, header = load_tensors(data, where)
    nodes = list(model.walk())
    saved = _read_entries(header, nodes, where)
    by_node: list[dict[str, Any]] = [{} for _ in nodes]
    for key, array in tensors.items():
        index, _, name = key.partition(".")
        if not (index.isascii() and index.isdecimal() and int(index) < len(nodes)):
            raise FormatError(Errors.P305.format(path=where, details=f"the tensor {key!r} belongs to no layer"))
        by_node[int(index)][name] = array
    for node, entry, own in zip(nodes, saved, by_node, strict=True):
        was_initialized = _set_dims(node, entry["dims"], where)
        shim = find_shim(node)
        if shim is not None and "adapter" in entry:
            shim.import_state({name: torch.from_numpy(array.copy()) for name, array in own.items()}, entry["adapter"])
        elif own or was_initialized:
            _set_params(node, own, where)
        if ATTRIBUTE in node.attrs:
            check_upstream(node, entry.get(ATTRIBUTE), where)
    _check_widths(nodes, where)
    _check_outputs(header, outputs, where)


def _read_entries(header: dict[str, Any], nodes: list[Model[Any, Any]], where: str) -> list[dict[str, Any]]:
    """Return a header's entries, one per node, each with "name" and "dims" of the right types."""
    saved = header.get("nodes")
    if not isinstance(saved, list):
        raise FormatError(Errors.P304.format(path=where, field="nodes"))
    for entry in saved:
        dims = entry.get("dims") if isinstance(entry, dict) else None
        is_whole = isinstance(dims, dict) and all(v is None or (type(v) is int and v >= 0) for v in dims.values())
        if not is_whole or not isinstance(entry.get("adapter", {}), dict):
            expected = "objects with a name, whole numbers as dims, and perhaps an adapter"
            raise FormatError(Errors.P640.format(path=where, field="nodes", expected=expected, got=entry))
    names, expected_names = [entry.get("name") for entry in saved], [_leaf_name(node) for node in nodes]
    if names != expected_names:
        details = f"expected the layers {expected_names}, got {names}"
        raise FormatError(Errors.P305.format(path=where, details=details))
    return saved


def _leaf_name(node: Model[Any, Any]) -> str:
    """Return a leaf's name, "" for combinators: theirs list initial layers, which `nlp.replace_listeners` changes."""
    return "" if node.layers else node.name


def adapter_shims(model: Model[Any, Any] | None) -> list[AdapterShim]:
    """Return the adapter shims of a model, including uninitialised ones."""
    shims = [] if model is None else [find_shim(node) for node in model.walk()]
    return [shim for shim in shims if shim is not None]


def _set_dims(node: Model[Any, Any], dims: dict[str, int | None], where: str) -> bool:
    """Set the saved sizes. RETURNS (bool): Whether the file has sizes that the config lacks: it was initialised."""
    if set(dims) != set(node.dim_names):
        details = f"{node.name} has the dimensions {sorted(node.dim_names)}, the file {sorted(dims)}"
        raise FormatError(Errors.P305.format(path=where, details=details))
    were_open = [dim for dim in dims if node.maybe_get_dim(dim) is None]
    for dim, value in dims.items():
        present = node.maybe_get_dim(dim)
        if value is None:
            continue
        if present is not None and present != value and node.name not in TAKEN_OVER:
            details = f"{node.name}.{dim} is {present} in the config and {value} in the file"
            raise FormatError(Errors.P305.format(path=where, details=details))
        node.set_dim(dim, value, force=True)
    return bool(were_open) and None not in dims.values()


def _set_params(node: Model[Any, Any], arrays: dict[str, Any], where: str) -> None:
    if set(arrays) != set(node.param_names):
        details = f"{node.name} has the parameters {sorted(node.param_names)}, the file {sorted(arrays)}"
        raise FormatError(Errors.P305.format(path=where, details=details))
    for name, array in arrays.items():
        _check_param(node, name, array, where)
        node.set_param(name, cast(FloatsXd, node.ops.asarray(array)))


def _check_param(node: Model[Any, Any], name: str, array: Any, where: str) -> None:
    """Refuse a parameter of another type, or with an axis that fits no dimension of its layer."""
    sizes = {dim: node.maybe_get_dim(dim) for dim in node.dim_names}
    if (node.name, name) in AXES:
        fits = array.shape == tuple(sizes[dim] for dim in AXES[node.name, name])
    else:
        fits = set(array.shape) <= set(sizes.values())
    if not fits or array.dtype != np.float32:
        details = f"{node.name}.{name} has the shape {array.shape} and type {array.dtype}, in a layer of {sizes}"
        raise FormatError(Errors.P305.format(path=where, details=details))


def _check_widths(nodes: list[Model[Any, Any]], where: str) -> None:
    """Refuse layers around an adapter that are not as wide as its backbone."""
    for node in nodes:
        for shim in (find_shim(part) for part in (node, *node.layers)):
            if shim is None or not shim.is_initialized or node.maybe_get_dim("nO") is None:
                continue
            width = shim.backbone.hidden_width
            if node.name in PROMPTED and node.get_dim("nO") != width:
                details = f"{node.name}.nO is {node.get_dim('nO')} and the backbone's states are {width} wide"
                raise FormatError(Errors.P305.format(path=where, details=details))


def _check_outputs(header: dict[str, Any], outputs: Sequence[str] | None, where: str) -> None:
    """Compare what the columns of the output meant when saved with what they mean now; older files do not say."""
    saved = header.get("outputs")
    own = list(outputs or ())
    if saved is not None and saved != own:
        raise FormatError(Errors.P309.format(path=where, got=f"{saved!r:.300}", expected=f"{own!r:.300}"))


def trained_parameters(models: Iterable[Model[Any, Any]]) -> dict[str, int]:
    """Count the trained parameters by part (see `PARTS`), and those of the frozen "backbone" (once)."""
    counts: dict[str, int] = {}
    for model in models:
        for node in model.walk():
            shim = find_shim(node)
            sizes = {name: node.get_param(name).size for name in node.param_names if node.has_param(name)}
            if shim is not None:
                counts["backbone"] = shim.backbone.n_parameters
                sizes.update({name: tensor.numel() for name, tensor in shim.export_state().items()})
            for name, size in sizes.items():
                counts[part_of(name)] = counts.get(part_of(name), 0) + int(size)
    return counts
