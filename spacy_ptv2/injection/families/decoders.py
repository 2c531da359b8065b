"""Decoders used as readers: each piece sees the prompt, itself and the pieces before it.

In every supported version of transformers their attention goes through the attention interface.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from ..family import Family


class LlamaRule(Family):
    """Llama and similar models: rotary positions, fewer heads for keys and values than for queries."""

    model_types: ClassVar[tuple[str, ...]] = ("llama", "mistral", "qwen2", "qwen3")
    reads_last_piece: ClassVar[bool] = True
    layers_at: ClassVar[str] = "layers"
    attention_at: ClassVar[str] = "self_attn"
    dropout_name: ClassVar[str] = "attention_dropout"

    def key_width(self, config: Any) -> int:
        """See `Family.key_width`."""
        head_width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return int(config.num_key_value_heads * head_width)


class GPT2Rule(Family):
    """GPT-2: `model.h[i].attn`."""

    model_types: ClassVar[tuple[str, ...]] = ("gpt2",)
    reads_last_piece: ClassVar[bool] = True
    layers_at: ClassVar[str] = "h"
    attention_at: ClassVar[str] = "attn"
    dropout_name: ClassVar[str] = "attn_dropout"

    def prepare(self, model: Any) -> None:
        """See `Family.prepare`; makes room for a prompt in the causal mask of transformers < 5.

        There eager attention also applies a triangular mask of the size of the position table, although it is
        redundant.
        """
        most = 2 * model.config.max_position_embeddings
        for layer in model.h:
            if isinstance(getattr(layer.attn, "bias", None), torch.Tensor):
                layer.attn.bias = torch.ones(1, 1, 1, 1, dtype=torch.bool).expand(1, 1, most, most)

    def refusal(self, config: Any) -> str | None:
        """See `Family.refusal`."""
        return "it has cross-attention (add_cross_attention)" if config.add_cross_attention else None
