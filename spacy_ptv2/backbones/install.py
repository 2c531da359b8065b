"""Opening a freshly loaded model for prompts, in place. Outside `injected` it computes exactly what it did before."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import torch
from torch import nn

from .attention import INTERFACE_NAMES, LAYER_ATTRIBUTE, PromptedAttention
from .checkpointing import call_layer
from .injection import active_injection, attention_injection
from .rules import InjectionRule
from .source import AttentionKind


def open_for_prompts(model: Any, rule: InjectionRule, kind: AttentionKind) -> None:
    """Let the attention of every layer take up a prompt, and every layer run in stages and be checkpointed."""
    rule.prepare(model)
    layers = list(rule.layers(model))
    if uses_attention_interface(rule.attention(layers[0])):
        model.config._attn_implementation = INTERFACE_NAMES[kind]
    for number, layer in enumerate(layers):
        block = rule.attention(layer)
        setattr(block, LAYER_ATTRIBUTE, number)
        if not uses_attention_interface(block):
            _replace_forward(block, rule, number, kind)
        _open_layer(layer, number)


def uses_attention_interface(block: nn.Module) -> bool:
    """Return whether a block of transformers looks its attention function up at every call."""
    return hasattr(sys.modules[type(block).__module__], "ALL_ATTENTION_FUNCTIONS")


def _open_layer(layer: nn.Module, number: int) -> None:
    original = layer.forward

    def forward(states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        injection = active_injection()
        if injection is None:
            return call_layer(original, states, *args, **kwargs)
        stage = injection.stage
        if stage is not None and stage.passes_over(number):
            return stage.answer(number)
        output = call_layer(original, injection.entering(number, states), *args, **kwargs)
        if stage is not None:
            stage.note(output)
        return output

    layer.forward = forward


def _replace_forward(block: nn.Module, rule: InjectionRule, layer: int, kind: AttentionKind) -> None:
    original = block.forward
    signature = inspect.signature(original)

    def forward(*args: Any, **kwargs: Any) -> Any:
        injection = attention_injection(layer)
        if injection is None:
            return original(*args, **kwargs)
        named = signature.bind(*args, **kwargs).arguments  # those beyond the signature under "kwargs"
        attend = PromptedAttention(layer, kind, injection)
        return rule.attend(block, attend, {**named, **named.get("kwargs", {})})

    block.forward = forward
