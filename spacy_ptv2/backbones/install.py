"""Opening a freshly loaded model for prompts, in place. Outside `injected` it computes exactly what it did before."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from torch import nn

from .attention import INTERFACE_NAMES, LAYER_ATTRIBUTE, PromptedAttention
from .checkpointing import allow_checkpointing
from .injection import active_injection
from .rules import InjectionRule
from .source import AttentionKind


def open_for_prompts(model: Any, rule: InjectionRule, kind: AttentionKind) -> None:
    """Let the attention of every layer take up a prompt, and every layer be checkpointed."""
    rule.prepare(model)
    layers = list(rule.layers(model))
    if uses_attention_interface(rule.attention(layers[0])):
        model.config._attn_implementation = INTERFACE_NAMES[kind]
    for number, layer in enumerate(layers):
        block = rule.attention(layer)
        setattr(block, LAYER_ATTRIBUTE, number)
        if not uses_attention_interface(block):
            _replace_forward(block, rule, number, kind)
        allow_checkpointing(layer)


def uses_attention_interface(block: nn.Module) -> bool:
    """Return whether a block of transformers looks its attention function up at every call."""
    return hasattr(sys.modules[type(block).__module__], "ALL_ATTENTION_FUNCTIONS")


def _replace_forward(block: nn.Module, rule: InjectionRule, layer: int, kind: AttentionKind) -> None:
    original = block.forward
    signature = inspect.signature(original)

    def forward(*args: Any, **kwargs: Any) -> Any:
        injection = active_injection(layer)
        if injection is None:
            return original(*args, **kwargs)
        named = signature.bind(*args, **kwargs).arguments  # those beyond the signature under "kwargs"
        attend = PromptedAttention(layer, kind, injection)
        return rule.attend(block, attend, {**named, **named.get("kwargs", {})})

    block.forward = forward
