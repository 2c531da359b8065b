"""A prompt independent of any library, and the row layout that other libraries share.

Rows have Shape: (length, n_layers * 2 * key_width): for each position, layer after layer, its key, then its value, each
with all heads one after the other. Reparameterised prompts are the output of an MLP with one hidden layer (tanh), whose
input is one embedding per position.
Sources: `get_prompt` of THUDM/P-tuning-v2 (model/*.py), `PeftModel.get_prompt` of huggingface/peft (peft_model.py),
`PrefixTuning.forward` of adapter-hub/adapters (methods/prefix_tuning.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..adapters.prompt import FlatPrompt, PromptEncoder
from ..backbones.backbone import Backbone
from ..errors import Errors, FormatError


@dataclass(frozen=True)
class ForeignPrompt:
    """A prompt from a file of another library.

    rows (Tensor): Its keys and values. Shape: (length, n_layers * 2 * key_width)
    shift_positions (bool): Whether the library counts the positions of the pieces from after the prompt.
    without_layers (tuple[int, ...]): Layers that have no prompt.
    backbone (str | None): The model's name in the file.
    """

    rows: torch.Tensor
    shift_positions: bool
    without_layers: tuple[int, ...] = ()
    backbone: str | None = None

    @property
    def problem(self) -> str | None:
        """What is wrong with its numbers, or None."""
        if self.rows.dim() == 2 and torch.isfinite(self.rows).all():
            return None
        return "its rows are no table of finite numbers"


def to_prompt(foreign: ForeignPrompt, backbone: Backbone, path: Path) -> FlatPrompt:
    """Convert a foreign prompt to one of ours.

    path (Path): Where it comes from, for messages.
    RAISES (FormatError): P503 if it was trained on a model with another depth or width.
    """
    layers = tuple(layer for layer in range(backbone.n_layers) if layer not in foreign.without_layers)
    length, width = len(foreign.rows), backbone.key_width
    expected = len(layers) * 2 * width
    if foreign.rows.shape[1] != expected:
        message = Errors.P503.format(
            path=path, got=foreign.rows.shape[1], expected=expected, n_layers=len(layers), width=width
        )
        raise FormatError(message)
    prompt = FlatPrompt(layers=layers, lengths=(length,) * len(layers), width=width)
    by_layer = foreign.rows.float().view(length, len(layers), 2, width).permute(1, 2, 0, 3)
    with torch.no_grad():
        prompt.values.copy_(by_layer.reshape(-1, width))
    return prompt


def spread(prompt: FlatPrompt | None, layers: Sequence[int], width: int) -> FlatPrompt:
    """Return the same prompt over more layers, with length 0 in layers where it has none.

    layers (Sequence[int]): All of the prompt's layers and more, in ascending order.
    width (int): The width of its keys, and of its values.
    """
    lengths = {} if prompt is None else dict(zip(prompt.layers, prompt.lengths, strict=True))
    wider = FlatPrompt(layers=tuple(layers), lengths=tuple(lengths.get(layer, 0) for layer in layers), width=width)
    if prompt is not None:
        with torch.no_grad():
            wider.values.copy_(prompt.values)
    return wider


def prompted_layers(prompt: PromptEncoder) -> tuple[int, ...]:
    """Return the layers in which a prompt has positions."""
    return tuple(layer for layer, length in zip(prompt.layers, prompt.lengths, strict=True) if length)


def to_rows(prompt: PromptEncoder, format_name: str) -> torch.Tensor:
    """Return the rows of a prompt of ours, folded.

    RAISES (FormatError): P505 if its layers have prompts of different lengths.
    """
    if len({length for length in prompt.lengths if length}) != 1:
        expected, got = "one length for all layers", f"lengths {prompt.lengths}"
        raise FormatError(Errors.P505.format(format=format_name, expected=expected, got=got))
    with torch.no_grad():
        by_layer = torch.stack([rows for rows in prompt.key_values() if rows.shape[1]])
    return by_layer.permute(2, 0, 1, 3).flatten(1).contiguous()


def require_all_layers(prompt: PromptEncoder, n_layers: int, format_name: str) -> None:
    """Refuse a prompt that is missing in some layers, for formats that need one in every layer.

    RAISES (FormatError): P505.
    """
    layers = prompted_layers(prompt)
    if layers != tuple(range(n_layers)):
        expected = f"a prompt in each of the {n_layers} layers"
        raise FormatError(Errors.P505.format(format=format_name, expected=expected, got=f"layers {layers}"))


def rows_of_encoder(tensors: Mapping[str, torch.Tensor], embedding: str, mlp: str) -> torch.Tensor | None:
    """Return the rows that a prefix encoder of another library computes, or None if these are not its tensors.

    tensors (Mapping[str, Tensor]): Tensors by name.
    embedding (str): The name of the embedding of positions.
    mlp (str): The name of the MLP, whose layers are called 0 and 2. Without it the embedding holds the rows themselves.
    """
    if embedding not in tensors:
        return None
    rows = tensors[embedding].float()
    if f"{mlp}.0.weight" not in tensors:
        return rows
    weights = [tensors[f"{mlp}.{layer}.{kind}"].float() for layer in (0, 2) for kind in ("weight", "bias")]
    hidden = torch.tanh(torch.nn.functional.linear(rows, weights[0], weights[1]))
    return torch.nn.functional.linear(hidden, weights[2], weights[3])
