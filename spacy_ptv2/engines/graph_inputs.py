"""What a graph of a backbone reads, and what determines it. Light: whoever finds the graph made needs no more."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from ..backbones.backbone import Backbone
from ..injection.context import LayerLoRA, LayerPrompts

if TYPE_CHECKING:
    from ..injection.folded import FoldedLoRA


@dataclass(frozen=True)
class GraphForm:
    """What determines the graph of a task besides the backbone. Prompts do not: every layer takes one of any length.

    added (tuple[int, ...]): Layers whose input gets something added.
    shift (int | None): How many positions the prompt takes up, None if positions are not shifted.
    all_states (bool): Return the hidden states of all layers, embeddings first, instead of those of the last layer.
    loras (bool): Take LoRA for every layer, of any rank from 1 up.
    folded (str): The digest of the LoRA that is folded into the weights, for one task; "": none.
    """

    added: tuple[int, ...] = ()
    shift: int | None = None
    all_states: bool = False
    loras: bool = False
    folded: str = ""


@dataclass(frozen=True)
class GraphInputs:
    """What one call of a graph reads.

    embeddings (Tensor): Piece embeddings. Shape: (rows, pieces, embedding_width)
    mask (Tensor): 1 for pieces, 0 for padding. Shape: (rows, pieces)
    prompts (LayerPrompts), loras (LayerLoRA): By layer.
    added (dict[int, Tensor]): What is added to the input of a layer. Shape of each: (rows, pieces, hidden_width)
    folded (FoldedLoRA | None): LoRA that is not read but part of the weights.
    """

    embeddings: torch.Tensor
    mask: torch.Tensor
    prompts: LayerPrompts
    added: dict[int, torch.Tensor]
    loras: LayerLoRA = field(default_factory=dict)
    folded: FoldedLoRA | None = None

    def sample(self) -> GraphInputs:
        """Return two rows of these inputs, the first one almost all padding."""
        rows = torch.tensor([0, len(self.mask) - 1])
        mask = self.mask[rows]
        mask[0, 1:] = 0
        added = {layer: states[rows] for layer, states in self.added.items()}
        return replace(self, embeddings=self.embeddings[rows], mask=mask, added=added)

    def flat(self, backbone: Backbone) -> list[torch.Tensor]:
        """Return the tensors in the order in which a graph takes them, in float32."""
        layers = range(backbone.n_layers)
        nothing, no_effect = torch.zeros(2, 0, backbone.key_width), torch.zeros(1, backbone.lora_width)
        prompts = (self.prompts.get(layer, nothing) for layer in layers)
        added = (self.added[layer] for layer in sorted(self.added))
        loras = (self.loras.get(layer, no_effect) for layer in layers if self.loras)
        beside = [*prompts, *added, *loras]
        return [self.embeddings.float(), self.mask, *(tensor.float() for tensor in beside)]
