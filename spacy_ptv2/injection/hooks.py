"""Hooks that patch a freshly loaded model in place. Outside `injected` it computes exactly what it did before."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from ..kernels.frozen_linear import frozen_linear
from ..options import AttentionKind
from .attention import INTERFACE_NAMES, LAYER_ATTRIBUTE, PromptedAttention
from .checkpointing import call_layer
from .context import Widths, active_injection, attention_injection
from .family import Family
from .lora import linear_widths, open_linear_layers, running_as


def open_for_injection(model: Any, rule: Family, kind: AttentionKind) -> None:
    """Open every layer for an adapter: its attention for a prompt, its linear layers for LoRA.

    After this every layer can also run in stages and be checkpointed.
    """
    rule.prepare(model)
    layers = list(rule.layers(model))
    if uses_attention_interface(rule.attention(layers[0])):
        model.config._attn_implementation = INTERFACE_NAMES[kind]
    for number, layer in enumerate(layers):
        block = rule.attention(layer)
        setattr(block, LAYER_ATTRIBUTE, number)
        if not uses_attention_interface(block):
            _replace_forward(block, rule, number, kind)
        linear_layers = rule.linear_layers(layer)
        _open_layer(layer, number, linear_widths(linear_layers))
        open_linear_layers(linear_layers)


def open_dropout(model: Any, rule: Family) -> None:
    """Let dropout on hidden states draw per row group. Dropout outside the layers counts as the first layer's."""
    layers = list(rule.layers(model))
    layer_of = {id(part): number for number, layer in enumerate(layers) for part in layer.modules()}
    drops = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    for place, module in enumerate(drops, start=len(layers)):  # lower numbers belong to dropout in attention
        _open_dropout(module, layer_of.get(id(module), 0), place)


def multiply_in_onednn(model: nn.Module) -> None:
    """Patch the float32 linear layers of a frozen model in place to multiply in oneDNN; see `frozen_linear`.

    Outside `injected`, if their weights train after all, under autocast and during export they compute as before.
    """
    for module in model.modules():
        if type(module) in (nn.Linear, Conv1D) and module.weight.dtype == torch.float32:
            _freeze_linear(module)


def uses_attention_interface(block: nn.Module) -> bool:
    """Return whether a transformers block looks up its attention function at every call."""
    return hasattr(sys.modules[type(block).__module__], "ALL_ATTENTION_FUNCTIONS")


def _open_layer(layer: nn.Module, number: int, widths: Widths) -> None:
    original = layer.forward
    running = running_as(number, widths, original)

    def forward(states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        injection = active_injection()
        if injection is None:
            return call_layer(original, states, *args, **kwargs)
        stage = injection.stage
        if stage is not None and stage.passes_over(number):
            return stage.answer(number)
        output = call_layer(running, injection.entering(number, states), *args, **kwargs)
        if stage is not None:
            stage.note(output)
        return output

    layer.forward = forward


def _open_dropout(module: nn.Dropout, layer: int, place: int) -> None:
    original = module.forward

    def forward(states: torch.Tensor) -> torch.Tensor:
        injection = active_injection()
        if injection is None or not module.training:
            return original(states)
        return injection.drop(states, module.p, layer, place)

    module.forward = forward  # type: ignore[assignment,method-assign]


def _replace_forward(block: nn.Module, rule: Family, layer: int, kind: AttentionKind) -> None:
    original = block.forward
    signature = inspect.signature(original)

    def forward(*args: Any, **kwargs: Any) -> Any:
        injection = attention_injection(layer)
        if injection is None:
            return original(*args, **kwargs)
        named = signature.bind(*args, **kwargs).arguments  # with "kwargs" for arguments beyond the signature
        attend = PromptedAttention(layer, kind, injection)
        return rule.attend(block, attend, {**named, **named.get("kwargs", {})})

    block.forward = forward


def _freeze_linear(module: Any) -> None:
    original = module.forward
    transposed = isinstance(module, Conv1D)

    def forward(states: torch.Tensor) -> torch.Tensor:
        weight = module.weight
        elsewhere = active_injection() is None or torch.compiler.is_compiling()
        if elsewhere or weight.requires_grad or torch.is_autocast_enabled("cpu"):
            return original(states)  # type: ignore[no-any-return]
        return frozen_linear(states, weight.t() if transposed else weight, module.bias)

    module.forward = forward
