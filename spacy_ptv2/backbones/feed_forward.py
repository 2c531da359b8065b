"""Adapters beside the feed-forward networks of a backbone: a few more keys and values in each.

A feed-forward network is a memory of keys, which its input is compared with, and values, which are summed up (Geva et
al. 2021, https://arxiv.org/abs/2012.14913). An adapter reads what the network's first linear layer reads, and adds to
what its last one gives. Both may be shared, between a model and its twin in training, or by several layers (ALBERT), so
they ask for the layer that runs.
Source: the parallel adapter of He et al. 2022, section 3.3, https://arxiv.org/abs/2110.04366.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from .injection import active_injection

IS_OPEN = "spacy_ptv2_is_open"  # set on the linear layers that adapters know of


@dataclass
class LayerCall:
    """A layer that runs. number (int): Which. beside (Tensor | None): What joins its feed-forward network's output."""

    number: int
    beside: torch.Tensor | None = None


_running: ContextVar[LayerCall | None] = ContextVar("spacy_ptv2_layer", default=None)


def running_as(number: int, forward: Callable[..., Any]) -> Callable[..., Any]:
    """Return a layer's forward that says which layer runs, in this thread."""

    def run(*args: Any, **kwargs: Any) -> Any:
        token = _running.set(LayerCall(number))
        try:
            return forward(*args, **kwargs)
        finally:
            _running.reset(token)

    return run


def open_feed_forward(first: nn.Module, last: nn.Module) -> None:
    """Let adapters read what the first linear layer of a feed-forward network reads, and join what the last gives."""
    for module, hook in ((first, _read), (last, _join)):
        if not hasattr(module, IS_OPEN):
            setattr(module, IS_OPEN, True)
            module.register_forward_hook(hook)


def keys_and_values(first: nn.Module, last: nn.Module, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what a feed-forward network compares its input with, and what it then sums up.

    first (Module), last (Module): Its linear layers. dtype: What they read.
    RETURNS (tuple[Tensor, Tensor]): Keys and values, in float32. Shape of each: (n_keys, width)
    """
    values = _matrix(last, dtype).T
    return _matrix(first, dtype)[: values.shape[0]], values  # a gated network may have its gates behind the keys


def _matrix(linear: nn.Module, dtype: torch.dtype) -> torch.Tensor:
    """Return a linear layer's matrix, however it is kept: transposed, as in GPT-2, or rounded. (outputs, inputs)"""
    n_inputs = int(linear.in_features if isinstance(linear, nn.Linear) else linear.nx)  # type: ignore[arg-type]
    read = torch.eye(n_inputs + 1, n_inputs, dtype=dtype, device=next(linear.parameters()).device)
    with torch.no_grad():
        given: torch.Tensor = linear(read).float()
    return (given[:-1] - given[-1]).T  # the last row of what it read is zeros


def _read(module: nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
    call, injection = _running.get(), active_injection()
    if call is not None and injection is not None:
        call.beside = injection.beside_feed_forward(call.number, args[0])


def _join(module: nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
    call = _running.get()
    if call is None or call.beside is None:
        return output
    beside, call.beside = call.beside, None
    return output + beside.to(output.dtype)
