"""ALBERT: the layers of a group share their parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn

from ..attention import PromptedAttention
from ..family import Family, decoder_refusal, relative_key_refusal, split_heads
from ..twins import make_twin


class AlbertRule(Family):
    """transformers calls one module several times. Here each layer gets its own module, with shared parameters."""

    model_types: ClassVar[tuple[str, ...]] = ("albert",)
    layers_at: ClassVar[str] = "encoder.albert_layer_groups"
    attention_at: ClassVar[str] = "attention"
    dropout_name: ClassVar[str] = "attention_dropout"

    def layers(self, model: nn.Module) -> list[Any]:
        """See `Family.layers`; returns the single layer of each group."""
        return [group.albert_layers[0] for group in super().layers(model)]

    def prepare(self, model: Any) -> None:
        """See `Family.prepare`."""
        config, encoder = model.config, model.encoder
        layers_per_group = config.num_hidden_layers / config.num_hidden_groups
        groups = [encoder.albert_layer_groups[int(i / layers_per_group)] for i in range(config.num_hidden_layers)]
        encoder.albert_layer_groups = nn.ModuleList(make_twin(group) for group in groups)
        config.num_hidden_groups = config.num_hidden_layers

    def attend(self, block: Any, attend: PromptedAttention, call: Mapping[str, Any]) -> Any:
        """See `Family.attend`; transformers < 5."""
        states, width = call["hidden_states"], block.attention_head_size
        query, key, value = (split_heads(part(states), width) for part in (block.query, block.key, block.value))
        dropout = self.attention_dropout(block)
        mixed = attend(query, key, value, call.get("attention_mask"), scale=width**-0.5, dropout=dropout)
        return (block.LayerNorm(states + block.output_dropout(block.dense(mixed))),)

    def refusal(self, config: Any) -> str | None:
        """See `Family.refusal`."""
        if config.inner_group_num != 1:
            return f"inner_group_num is {config.inner_group_num}, only 1 is supported (as in all published ALBERTs)"
        return relative_key_refusal(config) or decoder_refusal(config)
