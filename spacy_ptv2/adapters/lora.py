"""LoRA: trained low-rank matrices added to every linear layer.

Source: Hu et al. 2021, section 4.1, https://arxiv.org/abs/2106.09685, but without a scale besides the learning rate.
"""

from __future__ import annotations

import torch
from torch import nn

from ..injection.context import LayerLoRA, Widths


class LoRA(nn.Module):
    """Low-rank matrices for all linear layers of some of a backbone's layers. They start without effect.

    layers (tuple[int, ...]): The layers with LoRA.
    rank (int): The rank of each matrix, the number of directions of the input that it reads.
    widths (Widths): Input and output width of each linear layer of a layer.
    """

    def __init__(self, *, layers: tuple[int, ...], rank: int, widths: Widths) -> None:
        super().__init__()
        self.layers = layers
        self.rank = rank
        weights = torch.zeros(len(layers), rank, sum(map(sum, widths)))
        if not weights.is_meta:  # there torch would import its compiler, to draw nothing
            start = 0
            for n_inputs, n_outputs in widths:  # A preserves the scale of its input, B starts at zero
                drawn = torch.empty(len(layers), rank, n_inputs).normal_(std=n_inputs**-0.5)
                weights[:, :, start : start + n_inputs] = drawn
                start += n_inputs + n_outputs
        self.weights = nn.Parameter(weights)

    def forward(self) -> LayerLoRA:
        """Return {layer: its LoRA}. Shape of each: (rank, sum of all input and output widths)"""
        return dict(zip(self.layers, self.weights.unbind(), strict=True))
