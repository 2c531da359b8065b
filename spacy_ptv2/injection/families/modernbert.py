"""ModernBERT: rotary positions, and layers that see only a sliding window.

The prompt has no position, so it is not rotated. Every sliding window sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..attention import PromptedAttention
from ..family import Family


class ModernBertRule(Family):
    """`model.layers[i].attn`."""

    model_types: ClassVar[tuple[str, ...]] = ("modernbert",)
    layers_at: ClassVar[str] = "layers"
    attention_at: ClassVar[str] = "attn"
    dropout_name: ClassVar[str] = "attention_dropout"

    def attend(self, block: Any, attend: PromptedAttention, call: Mapping[str, Any]) -> Any:
        """See `Family.attend`; transformers < 5."""
        from transformers.models.modernbert.modeling_modernbert import apply_rotary_pos_emb

        qkv = block.Wqkv(call["hidden_states"]).unflatten(-1, (3, block.num_heads, block.head_dim))
        cos, sin = block.rotary_emb(qkv, position_ids=call["position_ids"])
        query, key, value = qkv.transpose(3, 1).unbind(dim=2)
        query, key = apply_rotary_pos_emb(query, key, cos, sin)
        mask = call["attention_mask" if block.local_attention == (-1, -1) else "sliding_window_mask"]
        dropout = self.attention_dropout(block)
        mixed = attend(query, key, value, mask, scale=block.head_dim**-0.5, dropout=dropout)
        return (block.out_drop(block.Wo(mixed)),)
