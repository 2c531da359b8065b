"""An adapter: trained keys and values beside the feed-forward networks of some layers, as a prompt is beside attention.

Its keys start as the strongest of the network beside it, so that it reads from the first step on what pretraining found
worth reading; from few examples that learns more than random keys (docs/recipes.md).
Source: the parallel adapter of He et al. 2022, section 3.3, https://arxiv.org/abs/2110.04366, without its biases and
with the activation of the networks it stands beside (GELU, as BERT's).
"""

from __future__ import annotations

import torch
from torch import nn

from ..backbones.backbone import Backbone
from ..backbones.injection import LayerAdapters


class ParallelAdapter(nn.Module):
    """Keys and values for some of a backbone's layers; without effect at its start, where all values are zero.

    layers (tuple[int, ...]): The layers that have one. width (int): Its number of keys in each of them.
    model_width (int): Of a key, and of a value, as of what the feed-forward network reads and gives.
    """

    def __init__(self, *, layers: tuple[int, ...], width: int, model_width: int) -> None:
        super().__init__()
        self.layers = layers
        self.width = width
        weights = torch.zeros(len(layers), 2, width, model_width)
        weights[:, 0].normal_(std=model_width**-0.5)  # what they give is of the size of what they read
        self.weights = nn.Parameter(weights)

    def forward(self) -> LayerAdapters:
        """Return {layer: its keys and values}. Shape of each: (2, width, model_width)"""
        return dict(zip(self.layers, self.weights.unbind(), strict=True))


def start_adapter(adapter: ParallelAdapter, backbone: Backbone) -> None:
    """Start the keys as the strongest of each feed-forward network: by the length of a key times that of its value.

    Where a network has fewer than the adapter, the rest stays random.
    """
    with torch.no_grad():
        for layer, (start, _) in zip(adapter.layers, adapter.weights, strict=True):
            keys, values = backbone.feed_forward_memory(layer)
            count = min(adapter.width, keys.shape[0])
            start[:count] = keys[(keys.norm(dim=1) * values.norm(dim=1)).topk(count).indices]
