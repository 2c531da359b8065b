"""LoRA folded into weights, W + B A, so that a task that runs alone pays nothing for its LoRA.

In: the LoRA of a task, and the linear layers of a backbone. Out: linear layers that run in their place while this task
runs. The backbone's own weights are never touched, so whoever shares them computes what it always did.
Source: Hu et al. 2021, section 4.1, "no additional inference latency", https://arxiv.org/abs/2106.09685.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from ..kernels.frozen_linear import pays
from .context import LayerLoRA
from .hooks import multiply_in_onednn
from .lora import linear_widths


def fold(loras: LayerLoRA, linear_layers: Sequence[Sequence[nn.Module]]) -> dict[int, list[nn.Module]]:
    """Return linear layers with weights of their own, by layer, for the layers that have LoRA.

    linear_layers: Those of each layer of a backbone.
    """
    return {layer: _fold_layer(linear_layers[layer], lora) for layer, lora in loras.items()}


def _fold_layer(linear_layers: Sequence[nn.Module], lora: torch.Tensor) -> list[nn.Module]:
    sizes = [width for pair in linear_widths(linear_layers) for width in pair]
    parts = lora.detach().split(sizes, dim=1)
    return [_fold_one(*own) for own in zip(linear_layers, parts[::2], parts[1::2], strict=True)]


def _fold_one(module: Any, down: torch.Tensor, up: torch.Tensor) -> nn.Linear:
    """Return a linear layer with B A in its weights, summed in float32. Shapes: down (rank, nI), up (rank, nO)"""
    weight = module.weight.t() if isinstance(module, Conv1D) else module.weight
    whole = weight.float() + up.T.float() @ down.float()
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    linear.weight = nn.Parameter(whole.to(weight.dtype), requires_grad=False)
    linear.bias = module.bias
    if weight.device.type == "cpu" and pays():
        multiply_in_onednn(linear)
    return linear
