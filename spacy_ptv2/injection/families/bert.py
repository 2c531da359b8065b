"""BERT and the families that share its structure: RoBERTa, XLM-R, CamemBERT, ELECTRA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..attention import PromptedAttention
from ..family import Family, decoder_refusal, relative_key_refusal, split_heads


class BertRule(Family):
    """Families whose positions start at 0."""

    model_types: ClassVar[tuple[str, ...]] = ("bert", "electra")
    layers_at: ClassVar[str] = "encoder.layer"
    attention_at: ClassVar[str] = "attention.self"

    def attend(self, block: Any, attend: PromptedAttention, call: Mapping[str, Any]) -> Any:
        """See `Family.attend`; transformers < 5."""
        states, width = call["hidden_states"], block.attention_head_size
        query, key, value = (split_heads(part(states), width) for part in (block.query, block.key, block.value))
        dropout = self.attention_dropout(block)
        return (attend(query, key, value, call.get("attention_mask"), scale=width**-0.5, dropout=dropout),)

    def refusal(self, config: Any) -> str | None:
        """See `Family.refusal`."""
        return relative_key_refusal(config) or decoder_refusal(config)


class RobertaRule(BertRule):
    """Families whose positions start after the padding index."""

    model_types = ("roberta", "xlm-roberta", "camembert")

    def first_position(self, config: Any) -> int:
        """See `Family.first_position`."""
        return int(config.pad_token_id) + 1
