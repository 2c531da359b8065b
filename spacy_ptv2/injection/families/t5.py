"""The encoders of T5 and mT5: no absolute positions, but a relative bias that the first layer computes for all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from ..attention import PromptedAttention
from ..family import Family, decoder_refusal, split_heads
from ..lora import without_lora


class T5Rule(Family):
    """Only the encoder of a T5 model is loaded."""

    model_types: ClassVar[tuple[str, ...]] = ("t5", "mt5")
    reads_last_piece: ClassVar[bool] = True
    layers_at: ClassVar[str] = "encoder.block"
    attention_at: ClassVar[str] = "layer.0.SelfAttention"
    model_class: ClassVar[str] = "AutoModelForTextEncoding"

    def max_positions(self, config: Any) -> int:
        """See `Family.max_positions`; relative positions have no limit, so this is the length of pretraining."""
        return int(getattr(config, "n_positions", 512))

    def key_width(self, config: Any) -> int:
        """See `Family.key_width`."""
        return int(config.num_heads * config.d_kv)

    def shifted_inputs(self, model: Any, embeddings: torch.Tensor, shift: int) -> dict[str, torch.Tensor]:
        """See `Family.shifted_inputs`; nothing changes, as distances between pieces stay the same."""
        return {"inputs_embeds": embeddings}

    def attend(self, block: Any, attend: PromptedAttention, call: Mapping[str, Any]) -> Any:
        """See `Family.attend`; transformers < 5. The bias is passed on to the next layer, without the prompt."""
        states, width = call["hidden_states"], block.key_value_proj_dim
        query, key, value = (split_heads(part(states), width) for part in (block.q, block.k, block.v))
        position_bias, mask = call.get("position_bias"), call.get("mask")
        if position_bias is None:
            length = states.shape[1]
            position_bias = block.compute_bias(length, length, device=query.device)
            position_bias = position_bias if mask is None else position_bias + mask
        mixed = attend(query, key, value, position_bias, scale=1.0, dropout=self.attention_dropout(block))
        # What is returned after the hidden states differs between versions, except for the bias. Try with one piece.
        with without_lora():
            beside = type(block).forward(block, states[:1, :1], query_length=1)[1:]
        return block.o(mixed), *(x if x is None else position_bias for x in beside)

    def refusal(self, config: Any) -> str | None:
        """See `Family.refusal`."""
        return decoder_refusal(config)
