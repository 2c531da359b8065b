"""The seam between model families and everything else: one injection rule per family.

A rule knows where a family keeps its layers and their attention and how it counts positions. For versions of
transformers whose attention offers no other way in, it also knows how the family computes queries, keys and values.
Nothing outside this folder asks which family a backbone belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from .attention import PromptedAttention


class Family:
    """How an adapter gets into the layers of one family of models.

    model_types: The `model_type`s of the family's configs. model_class: The transformers class that loads the models.
    layers_at: The path of the list of layers in a model. attention_at: The path of the self-attention in a layer.
    position_layers: Parts of names of linear layers that read relative positions instead of pieces.
    reads_last_piece: Whether a whole sequence is read from its last piece, because the first one is a word or sees no
        other piece.
    dropout_name: The attribute of an attention block that is its dropout on attention weights (a module or a rate).
    """

    model_types: ClassVar[tuple[str, ...]]
    layers_at: ClassVar[str]
    attention_at: ClassVar[str]
    position_layers: ClassVar[tuple[str, ...]] = ()
    model_class: ClassVar[str] = "AutoModel"
    reads_last_piece: ClassVar[bool] = False
    dropout_name: ClassVar[str] = "dropout"

    def layers(self, model: nn.Module) -> list[Any]:
        """Return the layers of a model, in order, each a module of its own."""
        return list(model.get_submodule(self.layers_at).children())

    def attention(self, layer: nn.Module) -> Any:
        """Return the self-attention block of a layer."""
        return layer.get_submodule(self.attention_at)

    def linear_layers(self, layer: nn.Module) -> list[nn.Module]:
        """Return the linear layers of a layer that read pieces, in order."""
        linear = [(name, part) for name, part in layer.named_modules() if isinstance(part, (nn.Linear, Conv1D))]
        return [module for name, module in linear if not any(part in name for part in self.position_layers)]

    def also_read_positions(self, config: Any) -> tuple[str, ...]:
        """Return parts of names of linear layers that read relative positions in addition to pieces."""
        return ()

    def attend(self, block: Any, attend: PromptedAttention, call: Mapping[str, Any]) -> Any:
        """Compute what a call of the block returns, using `attend`.

        Needed only by families with blocks that do not go through the attention interface of transformers.
        call (Mapping[str, Any]): The call's arguments by name; their order differs between versions of transformers.
        """
        raise NotImplementedError

    def first_position(self, config: Any) -> int:
        """Return the position id of the first piece of a sequence."""
        return 0

    def max_positions(self, config: Any) -> int:
        """Return the length of the longest sequence that a model has positions for."""
        return int(config.max_position_embeddings) - self.first_position(config)

    def hidden_width(self, config: Any) -> int:
        """Return the width of a model's hidden states."""
        return int(config.hidden_size)

    def key_width(self, config: Any) -> int:
        """Return the width of a layer's keys, and of its values, all heads together."""
        return int(config.hidden_size)

    def refusal(self, config: Any) -> str | None:
        """Return why a model of this family cannot take a prompt, or None if it can."""
        return None

    def prepare(self, model: Any) -> None:
        """Change a freshly loaded model where its family needs it, for example to make each layer its own module."""
        return None

    def shifted_inputs(self, model: Any, embeddings: torch.Tensor, shift: int) -> dict[str, torch.Tensor]:
        """Return arguments for a model that place its pieces after `shift` prompt positions.

        embeddings (Tensor): Piece embeddings. Shape: (batch, pieces, width)
        """
        start = self.first_position(model.config) + shift
        positions = torch.arange(start, start + embeddings.shape[1], device=embeddings.device).unsqueeze(0)
        return {"inputs_embeds": embeddings, "position_ids": positions}

    def type_embeddings(self, model: Any) -> torch.Tensor | None:
        """Return the embeddings of token types, None if the model has none. Shape: (n_types, width)"""
        found = (part for name, part in model.named_modules() if name.endswith("token_type_embeddings"))
        table = next(found, None)
        return None if table is None else table.weight

    def attention_dropout(self, block: nn.Module) -> float:
        """Return the rate at which a block now drops attention weights; 0 unless it is in training mode."""
        rate = getattr(block, self.dropout_name)
        return float(getattr(rate, "p", rate)) if block.training else 0.0

    def keep_attention_weights(self, block: nn.Module) -> None:
        """Switch off a block's dropout on attention weights, and nothing else."""
        block.training = False
        inner = getattr(block, self.dropout_name)
        if isinstance(inner, nn.Module):
            inner.eval()


def split_heads(states: torch.Tensor, head_width: int) -> torch.Tensor:
    """Shape: (batch, pieces, heads * head_width) -> (batch, heads, pieces, head_width)"""
    by_head: torch.Tensor = states.unflatten(-1, (-1, head_width))
    return by_head.transpose(1, 2)


def decoder_refusal(config: Any) -> str | None:
    """Return why a config from a family of encoders does not describe an encoder, or None if it does."""
    if getattr(config, "add_cross_attention", False):
        return "it has cross-attention (add_cross_attention), whose keys come from another model"
    if getattr(config, "is_decoder", False):
        return "it is set up as a decoder (is_decoder), an encoder is expected"
    return None


def relative_key_refusal(config: Any) -> str | None:
    """Return why a config's position embeddings leave no room for a prompt, or None if there is room."""
    kind = getattr(config, "position_embedding_type", "absolute")
    if kind in (None, "absolute"):
        return None
    return f"position_embedding_type is {kind!r}, which counts keys; only 'absolute' leaves room for a prompt"
