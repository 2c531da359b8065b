"""DistilBERT: half of BERT's layers, no token types, and positions that a caller cannot choose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from ..attention import PromptedAttention
from ..family import Family, split_heads


class DistilBertRule(Family):
    """`model.transformer.layer[i].attention`."""

    model_types: ClassVar[tuple[str, ...]] = ("distilbert",)
    layers_at: ClassVar[str] = "transformer.layer"
    attention_at: ClassVar[str] = "attention"

    def attend(self, block: Any, attend: PromptedAttention, call: Mapping[str, Any]) -> Any:
        """See `Family.attend`; transformers < 5."""
        states, mask, width = call["query"], call.get("mask"), block.attention_head_size
        q, k, v = (split_heads(part(states), width) for part in (block.q_lin, block.k_lin, block.v_lin))
        if mask is not None and mask.dim() == 2:  # eager attention gets the batch's mask unchanged
            mask = mask.bool()[:, None, None, :]
        return (block.out_lin(attend(q, k, v, mask, scale=width**-0.5, dropout=self.attention_dropout(block))),)

    def shifted_inputs(self, model: Any, embeddings: torch.Tensor, shift: int) -> dict[str, torch.Tensor]:
        """See `Family.shifted_inputs`; compensates in advance for the position embeddings that the model adds."""
        table, length = model.embeddings.position_embeddings.weight, embeddings.shape[1]
        return {"inputs_embeds": embeddings + table[shift : shift + length] - table[:length]}
