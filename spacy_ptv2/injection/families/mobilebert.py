"""MobileBERT: attention inside a bottleneck that is narrower than the hidden states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from ...errors import Errors, PTuningError
from ..attention import PromptedAttention
from ..family import split_heads
from .bert import BertRule


class MobileBertRule(BertRule):
    """Structured like BERT, but queries, keys and values come from different inputs."""

    model_types: ClassVar[tuple[str, ...]] = ("mobilebert",)

    def key_width(self, config: Any) -> int:
        """See `Family.key_width`."""
        return int(config.true_hidden_size)

    def attend(self, block: Any, attend: PromptedAttention, call: Mapping[str, Any]) -> Any:
        """See `Family.attend`; transformers < 5."""
        width = block.attention_head_size
        query = split_heads(block.query(call["query_tensor"]), width)
        key = split_heads(block.key(call["key_tensor"]), width)
        value = split_heads(block.value(call["value_tensor"]), width)
        dropout = self.attention_dropout(block)
        return (attend(query, key, value, call.get("attention_mask"), scale=width**-0.5, dropout=dropout),)

    def type_embeddings(self, model: Any) -> torch.Tensor | None:
        """See `Family.type_embeddings`; here they are added after a convolution over three pieces, out of reach.

        RAISES (PTuningError): P222.
        """
        raise PTuningError(Errors.P222)
