"""LoRA inside a backbone: adds the low-rank product to what a linear layer returns.

LoRA reads what a linear layer reads, through a few directions, and adds to what it gives. Linear layers may be
shared, between a model and its twin in training, or by several layers (ALBERT), so they ask for the layer that runs.
Source: LoRA, Hu et al. 2021, section 4.1, https://arxiv.org/abs/2106.09685, without a scale beside the learning rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from .context import SplitLoRA, active_injection

IS_OPEN = "spacy_ptv2_is_open"  # set on the linear layers that LoRA know of

Widths = tuple[tuple[int, int], ...]  # of what each linear layer of a layer reads, and of what it gives

# Of each row group, as the layer that now runs has it, in this thread.
_running: ContextVar[Sequence[SplitLoRA | None] | None] = ContextVar("spacy_ptv2_adapters", default=None)


def linear_widths(linear_layers: Sequence[nn.Module]) -> Widths:
    """Return the width of what each linear layer reads, and of what it gives."""
    return tuple((m.nx, m.nf) if isinstance(m, Conv1D) else (m.in_features, m.out_features) for m in linear_layers)  # type: ignore[misc]


def running_as(number: int, widths: Widths, forward: Callable[..., Any]) -> Callable[..., Any]:
    """Return a layer's forward that lets its linear layers know of its LoRA.

    number (int): Of the layer. widths (Widths): Of its linear layers.
    """
    sizes = [width for pair in widths for width in pair]

    def run(*args: Any, **kwargs: Any) -> Any:
        injection = active_injection()
        with _with_lora(None if injection is None else injection.split_lora(number, sizes)):
            return forward(*args, **kwargs)

    return run


def open_linear_layers(linear_layers: Sequence[nn.Module]) -> None:
    """Let LoRA join what the linear layers of a layer give; each goes by its place among them."""
    for place, module in enumerate(linear_layers):
        if not hasattr(module, IS_OPEN):
            setattr(module, IS_OPEN, True)
            module.register_forward_hook(partial(_join, place))


@contextmanager
def without_lora() -> Iterator[None]:
    """Leave linear layers alone that read something else than pieces, as relative positions."""
    with _with_lora(None):
        yield


@contextmanager
def _with_lora(loras: Sequence[SplitLoRA | None] | None) -> Iterator[None]:
    token = _running.set(loras)
    try:
        yield
    finally:
        _running.reset(token)


def _join(place: int, module: nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
    loras, injection = _running.get(), active_injection()
    if loras is None or injection is None:
        return output
    return injection.with_lora(place, loras, args[0], output)
