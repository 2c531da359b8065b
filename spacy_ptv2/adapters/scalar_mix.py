"""Scalar mix: a learned softmax-weighted mix of all layers' hidden states.

Source: the scalar mix of Peters et al. 2018, section 3.2, https://arxiv.org/abs/1802.05365 (without its gamma).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class ScalarMix(nn.Module):
    """Weights over the embedding output and every layer's output. It starts as their mean.

    n_states (int): The number of hidden states, one more than the backbone has layers.
    """

    def __init__(self, n_states: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(n_states))

    def forward(self, states: Sequence[torch.Tensor]) -> torch.Tensor:
        """states: n_states tensors of equal shape (..., width). RETURNS: The mix in float32, same shape."""
        shares = torch.softmax(self.weights, dim=0)
        mixed = shares[0] * states[0].float()
        for share, state in zip(shares[1:], states[1:], strict=True):
            mixed = torch.addcmul(mixed, share, state.float())
        return mixed
