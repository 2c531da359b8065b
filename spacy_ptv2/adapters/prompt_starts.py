"""Initialises a flat prompt with random numbers, or with the keys and values of real words."""

from __future__ import annotations

import torch

from ..backbones.backbone import Backbone
from ..backbones.model_config import call_model
from ..errors import Errors, PTuningError
from ..injection.context import recorded_key_values
from ..options import NormalStart, PromptStart
from .prompt import FlatPrompt


def start_prompt(prompt: FlatPrompt, start: PromptStart, backbone: Backbone) -> None:
    """Fill a flat prompt in place.

    RAISES (PTuningError): P204 if the start's text has no pieces.
    """
    with torch.no_grad():
        if isinstance(start, NormalStart):
            prompt.values.normal_(std=start.deviation)
            return
        words = word_key_values(backbone, start.text)
        for layer, rows in zip(prompt.layers, prompt.key_values(), strict=True):
            rows.copy_(words[layer][:, torch.arange(rows.shape[1]) % words[layer].shape[1]])


def word_key_values(backbone: Backbone, text: str) -> dict[int, torch.Tensor]:
    """Return what each layer attends to in a text, which is truncated to the backbone's positions.

    RETURNS (dict[int, Tensor]): By layer, the keys and values of the pieces. Shape of each: (2, pieces, key_width)
    """
    ids = backbone.tokenizer(text, add_special_tokens=False)["input_ids"][: backbone.max_positions]
    if not ids:
        raise PTuningError(Errors.P204.format(text=text))
    with torch.no_grad(), recorded_key_values() as recorded:
        call_model(backbone.model, input_ids=torch.tensor([ids], device=backbone.device))
    return {
        layer: torch.stack([states[0].transpose(0, 1).flatten(1).float() for states in pair])
        for layer, pair in recorded.items()
    }
