"""BERT and the families that share its attention module: RoBERTa, XLM-R, CamemBERT, ELECTRA.

Layout: `model.encoder.layer[i].attention.self` with linear `key` and `value` (transformers 4.53, modeling_bert.py).
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from .injection import AttentionSite
from .rules import InjectionRule


class BertRule(InjectionRule):
    """Families whose positions start at 0."""

    model_types: ClassVar[tuple[str, ...]] = ("bert", "electra")

    def sites(self, model: nn.Module) -> list[AttentionSite]:
        """See `InjectionRule.sites`."""
        blocks = [layer.attention.self for layer in model.encoder.layer]  # type: ignore[union-attr]
        return [AttentionSite(module=block, key=block.key, value=block.value) for block in blocks]

    def first_position(self, config: Any) -> int:
        """See `InjectionRule.first_position`."""
        return 0

    def refusal(self, config: Any) -> str | None:
        """Relative position embeddings index by key position, which a prompt would shift; decoders are no encoders."""
        kind = getattr(config, "position_embedding_type", "absolute")
        if kind not in (None, "absolute"):
            return f"position_embedding_type is {kind!r}, only 'absolute' leaves room for a prompt"
        if getattr(config, "is_decoder", False) or getattr(config, "add_cross_attention", False):
            return "it is set up as a decoder (is_decoder or add_cross_attention), an encoder is expected"
        return None


class RobertaRule(BertRule):
    """Families whose positions start behind the padding index."""

    model_types = ("roberta", "xlm-roberta", "camembert")

    def first_position(self, config: Any) -> int:
        """See `InjectionRule.first_position`."""
        return int(config.pad_token_id) + 1
