"""How a flat prompt starts: random numbers, or the keys and values of real words."""

from __future__ import annotations

import torch

from ..backbones.backbone import Backbone
from ..errors import Errors, PTuningError
from ..options import NormalStart, PromptStart
from .prompt_encoder import FlatPrompt


def start_prompt(prompt: FlatPrompt, start: PromptStart, backbone: Backbone) -> None:
    """Fill a flat prompt in place.

    RAISES (PTuningError): P204 if the start's text has no piece.
    """
    with torch.no_grad():
        if isinstance(start, NormalStart):
            prompt.values.normal_(std=start.deviation)
        else:
            prompt.values.copy_(word_key_values(backbone, start.text, prompt.layers, prompt.length))


def word_key_values(backbone: Backbone, text: str, layers: tuple[int, ...], length: int) -> torch.Tensor:
    """Return the keys and values of the pieces of a text in each layer, repeated up to `length`.

    RETURNS (Tensor): Shape: (len(layers), 2, length, hidden_width).
    """
    ids = backbone.tokenizer(text, add_special_tokens=False)["input_ids"][: backbone.max_positions]
    if not ids:
        raise PTuningError(Errors.P204.format(text=text))
    sites = backbone.rule.sites(backbone.model)
    captured: dict[torch.nn.Module, torch.Tensor] = {}

    def keep(module: torch.nn.Module, args: object, output: torch.Tensor) -> None:
        captured[module] = output[0]

    projections = [module for layer in layers for module in (sites[layer].key, sites[layer].value)]
    handles = [module.register_forward_hook(keep) for module in projections]
    try:
        with torch.no_grad():
            backbone.model(input_ids=torch.tensor([ids], device=backbone.device))
    finally:
        for handle in handles:
            handle.remove()
    rows = torch.arange(length) % len(ids)
    width = backbone.hidden_width
    stacked = torch.stack([captured[module] for module in projections])
    return stacked[:, rows].view(len(layers), 2, length, width)
