"""The prompt: trained keys and values, flat or through an MLP.

Out: one tensor per prompted layer, keys first, Shape: (2, length, width). It is computed once per batch, and the
injection expands it over the rows. Every parameter of these modules is trained and saved, so their `state_dict` is the
list of both.
Source: Liu et al. 2021, sections 3.2 and 3.3 (reparameterisation), https://arxiv.org/abs/2110.07602.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ..errors import Errors, PTuningError
from ..injection.context import LayerPrompts


class PromptEncoder(nn.Module, ABC):
    """Keys and values for some of a backbone's layers.

    layers (tuple[int, ...]): The prompted layers.
    lengths (tuple[int, ...]): Number of positions in each of them.
    width (int): The width of a layer's keys, and of its values.
    dropout (float): The rate of dropout on all keys and values.
    dropout_per_row (bool): Whether each row of a batch gets its own dropout mask.
    """

    def __init__(
        self,
        *,
        layers: tuple[int, ...],
        lengths: tuple[int, ...],
        width: int,
        dropout: float,
        dropout_per_row: bool = False,
    ) -> None:
        super().__init__()
        if min(lengths, default=0) < 0:
            raise PTuningError(Errors.P202.format(got=list(lengths)))
        if len(lengths) != len(layers):
            raise PTuningError(Errors.P211.format(got=len(lengths), expected=len(layers)))
        self.layers = layers
        self.lengths = lengths
        self.width = width
        self.dropout = nn.Dropout(dropout)
        self.dropout_per_row = dropout_per_row
        self._switched_on = True

    @property
    def longest(self) -> int:
        """The largest number of positions in any layer."""
        return max(self.lengths, default=0)

    @property
    def n_rows(self) -> int:
        """The number of keys and values in all layers together."""
        return 2 * sum(self.lengths)

    @property
    def row_counts(self) -> dict[str, tuple[int, ...]]:
        """By parameter name, for a tensor that stacks keys and values: the number of rows of each block."""
        return {}

    @abstractmethod
    def rows(self) -> torch.Tensor:
        """Return each layer's keys, then its values, layer after layer. Shape: (n_rows, width)"""

    def key_values(self) -> list[torch.Tensor]:
        """Return the keys and values of each prompted layer, without dropout. Shape of each: (2, length, width)"""
        return self._by_layer(self.rows())

    def fold(self) -> FlatPrompt:
        """Return the same prompt as flat keys and values, the form that is saved and shipped."""
        flat = FlatPrompt(layers=self.layers, lengths=self.lengths, width=self.width)
        flat.drop_like(self)
        with torch.no_grad():
            rows = self.rows()
            flat.to(rows.device).values.copy_(rows)
        return flat.train(self.training)

    def drop_like(self, other: PromptEncoder) -> None:
        """Copy the dropout settings of another prompt."""
        self.dropout, self.dropout_per_row = nn.Dropout(other.dropout.p), other.dropout_per_row

    def forward(self, n_rows: int | None = None) -> LayerPrompts:
        """Return {layer: its prompt}, with dropout in training; empty while switched off.

        n_rows (int | None): How many rows of a batch get a prompt of their own; None for one that all rows share.
        """
        if not self._switched_on:
            return {}
        rows = self.rows()
        by_layer = self._by_layer(self.dropout(rows if n_rows is None else rows.expand(n_rows, -1, -1)))
        return dict(zip(self.layers, by_layer, strict=True))

    @contextmanager
    def switched_off(self) -> Iterator[None]:
        """Run the backbone without the prompt inside this context."""
        self._switched_on = False
        try:
            yield
        finally:
            self._switched_on = True

    def _by_layer(self, rows: torch.Tensor) -> list[torch.Tensor]:
        """Shape: (n_rows, width) -> (2, length, width), (rows, n_rows, width) -> (2, rows, length, width)"""
        parts = rows.split([2 * length for length in self.lengths], dim=-2)
        return [
            part.unflatten(-2, (2, length)).movedim(-3, 0) for part, length in zip(parts, self.lengths, strict=True)
        ]


class FlatPrompt(PromptEncoder):
    """Keys and values that are themselves the parameters."""

    def __init__(
        self,
        *,
        layers: tuple[int, ...],
        lengths: tuple[int, ...],
        width: int,
        dropout: float = 0.0,
        dropout_per_row: bool = False,
    ) -> None:
        super().__init__(layers=layers, lengths=lengths, width=width, dropout=dropout, dropout_per_row=dropout_per_row)
        self.values = nn.Parameter(torch.zeros(self.n_rows, width))

    @property
    def row_counts(self) -> dict[str, tuple[int, ...]]:
        """See `PromptEncoder.row_counts`."""
        return {"values": tuple(length for length in self.lengths for _ in range(2))}

    def rows(self) -> torch.Tensor:
        """See `PromptEncoder.rows`."""
        return self.values


class MLPPrompt(PromptEncoder):
    """Keys and values computed from one embedding per position by a two-layer MLP (tanh), as prefix tuning does.

    mlp_width (int): Hidden width of the MLP. Shorter layers take the first positions.
    """

    def __init__(
        self,
        *,
        layers: tuple[int, ...],
        lengths: tuple[int, ...],
        width: int,
        mlp_width: int,
        dropout: float = 0.0,
        dropout_per_row: bool = False,
    ) -> None:
        super().__init__(layers=layers, lengths=lengths, width=width, dropout=dropout, dropout_per_row=dropout_per_row)
        self.embedding = nn.Parameter(torch.randn(self.longest, width))
        self.hidden = nn.Linear(width, mlp_width)
        self.output = nn.Linear(mlp_width, len(layers) * 2 * width)

    def rows(self) -> torch.Tensor:
        """See `PromptEncoder.rows`."""
        positions: torch.Tensor = self.output(torch.tanh(self.hidden(self.embedding)))
        by_layer = positions.view(self.longest, len(self.layers), 2, self.width).permute(1, 2, 0, 3)
        parts = [part[:, :length] for part, length in zip(by_layer, self.lengths, strict=True)]
        return torch.cat([part.reshape(-1, self.width) for part in parts])
