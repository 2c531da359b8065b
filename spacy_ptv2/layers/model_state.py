"""The trained state of any Thinc model as safetensors: parameters of its nodes and prompts of its shims.

In: a model. Out: bytes with one header: dimensions of every node (so that a fresh model gets its sizes back), the
headers of the prompts, and a checksum. The reading model must have the same nodes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from thinc.api import Model
from thinc.types import FloatsXd

from ..errors import Errors, FormatError
from ..parts import part_of
from ..serialization import dump_tensors, load_tensors
from .prompt_shim import PromptShim


def model_to_bytes(model: Model[Any, Any]) -> bytes:
    """Return all that a model has learned."""
    tensors: dict[str, Any] = {}
    nodes: list[dict[str, Any]] = []
    for index, node in enumerate(model.walk()):
        entry: dict[str, Any] = {"name": _leaf_name(node), "dims": {d: node.maybe_get_dim(d) for d in node.dim_names}}
        for name in node.param_names:
            if node.has_param(name):
                tensors[f"{index}.{name}"] = model.ops.to_numpy(node.get_param(name))
        shim = _prompt_shim(node)
        if shim is not None and shim.is_initialized:
            entry["prompt"] = shim.header()
            tensors.update({f"{index}.{name}": t.cpu().numpy() for name, t in shim.export_state().items()})
        nodes.append(entry)
    return dump_tensors(tensors, {"nodes": nodes})


def model_from_bytes(model: Model[Any, Any], data: bytes, where: str) -> None:
    """Restore what `model_to_bytes` gave into a model of the same structure.

    where (str): Where the bytes come from, for messages.
    RAISES (FormatError): P301, P303-P306. RAISES (BackboneError): P101, P105.
    """
    tensors, header = load_tensors(data, where)
    saved = header.get("nodes")
    if not isinstance(saved, list):
        raise FormatError(Errors.P304.format(path=where, field="nodes"))
    nodes = list(model.walk())
    names, expected = [entry.get("name") for entry in saved], [_leaf_name(node) for node in nodes]
    if names != expected:
        raise FormatError(Errors.P305.format(path=where, details=f"expected the layers {expected}, got {names}"))
    by_node: list[dict[str, Any]] = [{} for _ in nodes]
    for key, array in tensors.items():
        index, _, name = key.partition(".")
        by_node[int(index)][name] = array
    for node, entry, own in zip(nodes, saved, by_node, strict=True):
        for dim, value in entry["dims"].items():
            if value is not None:
                _set_dim(node, dim, value, where)
        shim = _prompt_shim(node)
        if shim is not None and "prompt" in entry:
            shim.import_state({name: torch.from_numpy(array.copy()) for name, array in own.items()}, entry["prompt"])
        else:
            _set_params(node, own, where)


def _leaf_name(node: Model[Any, Any]) -> str:
    """Return a node's name; combinators spell out what was in them once, which `nlp.replace_listeners` changes."""
    return "" if node.layers else node.name


def prompt_shims(model: Model[Any, Any] | None) -> list[PromptShim]:
    """Return the prompts in a model, empty ones included."""
    shims = [] if model is None else [_prompt_shim(node) for node in model.walk()]
    return [shim for shim in shims if shim is not None]


def _prompt_shim(node: Model[Any, Any]) -> PromptShim | None:
    return next((shim for shim in node.shims if isinstance(shim, PromptShim)), None)


def _set_dim(node: Model[Any, Any], dim: str, value: int, where: str) -> None:
    present = node.maybe_get_dim(dim)
    if present is not None and present != value:
        details = f"{node.name}.{dim} is {present} in the config and {value} in the file"
        raise FormatError(Errors.P305.format(path=where, details=details))
    node.set_dim(dim, value)


def _set_params(node: Model[Any, Any], arrays: dict[str, Any], where: str) -> None:
    unknown = set(arrays) - set(node.param_names)
    if unknown:
        raise FormatError(Errors.P305.format(path=where, details=f"{node.name} has no {sorted(unknown)}"))
    for name in node.param_names:
        if name in arrays:
            node.set_param(name, cast(FloatsXd, node.ops.asarray(arrays[name])))


def trained_parameters(models: Iterable[Model[Any, Any]]) -> dict[str, int]:
    """Count what is trained, by part ("prompt", "layer_mix", "casing", "head"), and the frozen "backbone" (once)."""
    counts: dict[str, int] = {}
    for model in models:
        for node in model.walk():
            shim = _prompt_shim(node)
            sizes = {name: node.get_param(name).size for name in node.param_names if node.has_param(name)}
            if shim is not None:
                counts["backbone"] = shim.backbone.n_parameters
                sizes.update({name: tensor.numel() for name, tensor in shim.export_state().items()})
            for name, size in sizes.items():
                counts[part_of(name)] = counts.get(part_of(name), 0) + int(size)
    return counts
