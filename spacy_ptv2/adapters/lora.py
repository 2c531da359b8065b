"""LoRA: trained matrices of low rank beside every linear layer.

Source: LoRA, Hu et al. 2021, section 4.1, https://arxiv.org/abs/2106.09685, without a scale beside the learning rate.
"""

from __future__ import annotations

import torch
from torch import nn

from ..injection.context import LayerLoRA
from ..injection.lora import Widths


class LoRA(nn.Module):
    """What some of a backbone's layers add to all their linear layers; without effect at its start.

    layers (tuple[int, ...]): The layers that have one. rank (int): How many directions of its input each linear layer's
    LoRA reads. widths (Widths): Of what each linear layer of a layer reads and gives.
    """

    def __init__(self, *, layers: tuple[int, ...], rank: int, widths: Widths) -> None:
        super().__init__()
        self.layers = layers
        self.rank = rank
        parts = []
        for n_inputs, n_outputs in widths:  # what it reads is of the size of its input, what it gives is zero
            parts.append(torch.empty(len(layers), rank, n_inputs).normal_(std=n_inputs**-0.5))
            parts.append(torch.zeros(len(layers), rank, n_outputs))
        self.weights = nn.Parameter(torch.cat(parts, dim=2))

    def forward(self) -> LayerLoRA:
        """Return {layer: its LoRA}. Shape of each: (rank, what its linear layers read and give)"""
        return dict(zip(self.layers, self.weights.unbind(), strict=True))
