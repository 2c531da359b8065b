"""MPNet: a relative position bias, computed once for all layers, in addition to absolute positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..attention import PromptedAttention
from ..family import Family, decoder_refusal, split_heads


class MPNetRule(Family):
    """The bias is added to the scores of the pieces; the prompt has none."""

    model_types: ClassVar[tuple[str, ...]] = ("mpnet",)
    layers_at: ClassVar[str] = "encoder.layer"
    attention_at: ClassVar[str] = "attention.attn"

    def first_position(self, config: Any) -> int:
        """See `Family.first_position`; MPNetEmbeddings uses 1 as the padding index, whatever the config says."""
        return 2

    def attend(self, block: Any, attend: PromptedAttention, call: Mapping[str, Any]) -> Any:
        """See `Family.attend`."""
        states, mask, width = call["hidden_states"], call.get("attention_mask"), block.attention_head_size
        query, key, value = (split_heads(part(states), width) for part in (block.q, block.k, block.v))
        bias = call["position_bias"] if mask is None else call["position_bias"] + mask
        return (block.o(attend(query, key, value, bias, scale=width**-0.5, dropout=self.attention_dropout(block))),)

    def refusal(self, config: Any) -> str | None:
        """See `Family.refusal`."""
        return decoder_refusal(config)
