"""The header of a saved adapter, read without trusting it.

In: the header that `AdapterShim.header` wrote, or anything else in its place, and the tensors. Out: the recorded
backbone and the layout of the adapter. Every value that does not fit is refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ..backbones.backbone import Backbone
from ..backbones.source import Recorded
from ..errors import Errors, FormatError


@dataclass(frozen=True)
class AdapterLayout:
    """What a saved adapter consists of.

    layers (tuple[int, ...]): The layers that have a prompt and LoRA.
    lengths (tuple[int, ...]): Positions of the prompt in each of them.
    word_shape_layer (int | None): Where the word shape is added; None for the piece embeddings.
    lora_rank (int): 0 for no LoRA.
    """

    layers: tuple[int, ...]
    lengths: tuple[int, ...]
    word_shape_layer: int | None
    lora_rank: int


def read_header(header: dict[str, Any], where: str) -> tuple[Recorded, AdapterLayout]:
    """Return the content of a header.

    where (str): Where it comes from, for messages. RAISES (FormatError): P304, P640 with the field.
    """
    backbone, adapter = (_field(header, name, dict, where) for name in ("backbone", "adapter"))
    recorded = Recorded(
        _field(backbone, "fingerprint", str, where),
        _optional_text(backbone, "revision", where),
        _optional_text(backbone, "requirement", where),
    )
    layers, lengths = (_counts(adapter, name, where) for name in ("layers", "lengths"))
    if len(lengths) != len(layers):
        raise FormatError(Errors.P640.format(path=where, field="lengths", expected="one for each layer", got=lengths))
    place = adapter.get("word_shape_layer")
    word_shape_layer = None if place is None else _counts({"word_shape_layer": [place]}, "word_shape_layer", where)[0]
    (lora_rank,) = _counts({"lora_rank": [adapter.get("lora_rank")]}, "lora_rank", where)
    return recorded, AdapterLayout(layers, lengths, word_shape_layer, lora_rank)


def check_adapter(state: dict[str, torch.Tensor], layout: AdapterLayout, backbone: Backbone, where: str) -> None:
    """Check that an adapter's layout and tensors fit each other and the backbone.

    RAISES (FormatError): P305, P640.
    """
    layers = layout.layers
    if len(set(layers)) != len(layers) or not all(layer < backbone.n_layers for layer in layers):
        expected = f"different numbers below {backbone.n_layers}"
        raise FormatError(Errors.P640.format(path=where, field="layers", expected=expected, got=list(layers)))
    if layout.word_shape_layer is not None and not 0 < layout.word_shape_layer < backbone.n_layers:
        expected = f"null or a number between 1 and {backbone.n_layers - 1}"
        raise FormatError(
            Errors.P640.format(path=where, field="word_shape_layer", expected=expected, got=layout.word_shape_layer)
        )
    for name, tensor in state.items():
        if tensor.dtype != torch.float32:
            details = f"{name} is of type {str(tensor.dtype).removeprefix('torch.')}, expected float32"
            raise FormatError(Errors.P305.format(path=where, details=details))
    values = state.get("prompt.values")
    if values is None:
        raise FormatError(Errors.P305.format(path=where, details="there is no prompt.values"))
    expected_shape = (2 * sum(layout.lengths), backbone.key_width)
    if tuple(values.shape) != expected_shape:
        details = f"prompt.values has the shape {tuple(values.shape)}, expected {expected_shape}"
        raise FormatError(Errors.P305.format(path=where, details=details))


def _field(container: dict[str, Any], name: str, kind: type, where: str) -> Any:
    if name not in container:
        raise FormatError(Errors.P304.format(path=where, field=name))
    value = container[name]
    if not isinstance(value, kind):
        raise FormatError(Errors.P640.format(path=where, field=name, expected=f"a {kind.__name__}", got=value))
    return value


def _optional_text(container: dict[str, Any], name: str, where: str) -> str | None:
    value = container.get(name)
    if value is not None and not isinstance(value, str):
        raise FormatError(Errors.P640.format(path=where, field=name, expected="a str or null", got=value))
    return value


def _counts(container: dict[str, Any], name: str, where: str) -> tuple[int, ...]:
    values = _field(container, name, list, where)
    if not all(type(value) is int and value >= 0 for value in values):
        raise FormatError(Errors.P640.format(path=where, field=name, expected="whole numbers from 0 up", got=values))
    return tuple(values)
