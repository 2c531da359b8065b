"""The prompt: trained keys and values, flat or through an MLP.

Out: one tensor per prompted layer, Shape: (2, length, hidden_width), keys first, computed once per batch; the
injection expands it over the rows. Every parameter of these modules is trained and saved, so the module's own
`state_dict` is the list of both.
Source: Liu et al. 2021, sections 3.2 and 3.3 (reparameterisation), https://arxiv.org/abs/2110.07602.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

from ..errors import Errors, PTuningError


class PromptEncoder(nn.Module, ABC):
    """Keys and values for some of a backbone's layers.

    layers (tuple[int, ...]): The prompted layers. length (int): Positions per layer. width (int): Hidden width.
    """

    def __init__(self, *, layers: tuple[int, ...], length: int, width: int, dropout: float) -> None:
        super().__init__()
        if length < 0:
            raise PTuningError(Errors.P202.format(got=length))
        self.layers = layers
        self.length = length
        self.width = width
        self.dropout = nn.Dropout(dropout)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of all keys and values together: (n_layers, 2, length, width)."""
        return (len(self.layers), 2, self.length, self.width)

    @abstractmethod
    def key_values(self) -> torch.Tensor:
        """Return the keys and values, Shape: (n_layers, 2, length, width)."""

    def fold(self) -> FlatPrompt:
        """Return the same prompt as flat keys and values, which is what is saved and shipped."""
        flat = FlatPrompt(layers=self.layers, length=self.length, width=self.width, dropout=self.dropout.p)
        with torch.no_grad():
            values = self.key_values()
            flat.to(values.device).values.copy_(values)
        return flat.train(self.training)

    def forward(self) -> dict[int, torch.Tensor]:
        """Return {layer: keys and values}, Shape of each: (2, length, width), under dropout in training."""
        return dict(zip(self.layers, self.dropout(self.key_values()), strict=True))


class FlatPrompt(PromptEncoder):
    """Keys and values that are parameters themselves."""

    def __init__(self, *, layers: tuple[int, ...], length: int, width: int, dropout: float = 0.0) -> None:
        super().__init__(layers=layers, length=length, width=width, dropout=dropout)
        self.values = nn.Parameter(torch.zeros(self.shape))

    def key_values(self) -> torch.Tensor:
        """See `PromptEncoder.key_values`."""
        return self.values


class MLPPrompt(PromptEncoder):
    """Keys and values computed from one embedding per position by a two-layer MLP (tanh), as prefix tuning does.

    mlp_width (int): Hidden width of the MLP.
    """

    def __init__(
        self, *, layers: tuple[int, ...], length: int, width: int, mlp_width: int, dropout: float = 0.0
    ) -> None:
        super().__init__(layers=layers, length=length, width=width, dropout=dropout)
        self.embedding = nn.Parameter(torch.randn(length, width))
        self.hidden = nn.Linear(width, mlp_width)
        self.output = nn.Linear(mlp_width, len(layers) * 2 * width)

    def key_values(self) -> torch.Tensor:
        """See `PromptEncoder.key_values`."""
        rows: torch.Tensor = self.output(torch.tanh(self.hidden(self.embedding)))
        return rows.view(self.length, len(self.layers), 2, self.width).permute(1, 2, 0, 3)
