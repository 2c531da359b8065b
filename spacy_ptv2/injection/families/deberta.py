"""DeBERTa, DeBERTa-v2 and v3: "disentangled" scores, from content and from relative positions.

The blocks' own methods compute the relative part for the pieces. The prompt has no position and gets no such part.
Source: He et al. 2020, section 3, https://arxiv.org/abs/2006.03654.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from ..attention import PromptedAttention
from ..family import split_heads
from ..lora import without_lora
from .bert import BertRule


class DebertaV2Rule(BertRule):
    """DeBERTa-v2 and v3."""

    model_types: ClassVar[tuple[str, ...]] = ("deberta-v2",)
    position_layers: ClassVar[tuple[str, ...]] = ("pos_key_proj", "pos_query_proj")

    def also_read_positions(self, config: Any) -> tuple[str, ...]:
        """See `Family.also_read_positions`."""
        shared = getattr(config, "relative_attention", False) and getattr(config, "share_att_key", False)
        return ("attention.self.query_proj", "attention.self.key_proj") if shared else ()

    def attend(self, block: Any, attend: PromptedAttention, call: Mapping[str, Any]) -> Any:
        """See `Family.attend`."""
        states, width = call["hidden_states"], block.attention_head_size
        projections = (block.query_proj, block.key_proj, block.value_proj)
        query, key, value = (split_heads(part(states), width) for part in projections)
        n_terms = 1 + sum(kind in block.pos_att_type for kind in ("c2p", "p2c"))
        bias = call["attention_mask"].bool()
        if block.relative_attention:
            positions = (call["relative_pos"], block.pos_dropout(call["rel_embeddings"]))
            with without_lora():
                relative = block.disentangled_attention_bias(
                    query.flatten(0, 1), key.flatten(0, 1), *positions, n_terms
                )
            bias = _hide(relative.unflatten(0, query.shape[:2]), bias)
        dropout = self.attention_dropout(block)
        return attend(query, key, value, bias, scale=(width * n_terms) ** -0.5, dropout=dropout), None


class DebertaRule(BertRule):
    """DeBERTa (v1), which projects queries, keys and values together."""

    model_types: ClassVar[tuple[str, ...]] = ("deberta",)
    position_layers: ClassVar[tuple[str, ...]] = ("pos_proj", "pos_q_proj")

    def attend(self, block: Any, attend: PromptedAttention, call: Mapping[str, Any]) -> Any:
        """See `Family.attend`."""
        states, width = call["hidden_states"], block.attention_head_size
        query, key, value = split_heads(block.in_proj(states), 3 * width).chunk(3, dim=-1)
        n_terms = 1 + len(block.pos_att_type)
        query = (query + split_heads(block.q_bias[None, None], width)) * (width * n_terms) ** -0.5
        value = value + split_heads(block.v_bias[None, None], width)
        bias = call["attention_mask"].bool()
        if block.relative_attention:
            positions = (call["relative_pos"], block.pos_dropout(call["rel_embeddings"]))
            with without_lora():
                relative = block.disentangled_att_bias(query, key, *positions, n_terms)
            bias = _hide(relative, bias)
        return attend(query, key, value, bias, scale=1.0, dropout=self.attention_dropout(block)), None

    def prepare(self, model: Any) -> None:
        """See `Family.prepare`; transformers leaves two biases in float32, which fails with any other dtype."""
        for layer in self.layers(model):
            block = layer.attention.self
            for bias in (block.q_bias, block.v_bias):
                bias.data = bias.data.to(block.in_proj.weight.dtype)

    def refusal(self, config: Any) -> str | None:
        """See `Family.refusal`."""
        if getattr(config, "talking_head", False):
            return "talking_head mixes the scores of all heads, which is not supported"
        return super().refusal(config)


def _hide(bias: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    return bias.masked_fill(~seen, torch.finfo(bias.dtype).min)
