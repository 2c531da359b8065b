"""LoRA inside a backbone: adds a low-rank product to what a linear layer returns.

LoRA projects the input of a linear layer onto a few directions and adds to its output. Linear layers may be shared,
between a model and its twin in training or by several layers (ALBERT), so they look up which layer is running.
Source: Hu et al. 2021, section 4.1, https://arxiv.org/abs/2106.09685, but without a scale besides the learning rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from .context import Injection, SplitLoRA, Widths, active_injection

IS_OPEN = "spacy_ptv2_is_open"  # set on forwards that LoRA has been let into


class Running(NamedTuple):
    """What concerns the linear layers of the layer that is now running.

    loras (Sequence | None): The LoRA of each row group, None if no group has any.
    linears (Sequence | None): What runs in their place, None if nothing does.
    """

    loras: Sequence[SplitLoRA | None] | None = None
    linears: Sequence[Callable[[torch.Tensor], torch.Tensor]] | None = None


NOTHING = Running()
_running: ContextVar[Running] = ContextVar("spacy_ptv2_adapters", default=NOTHING)  # in this thread


def linear_widths(linear_layers: Sequence[nn.Module]) -> Widths:
    """Return the input and output width of each linear layer."""
    return tuple((m.nx, m.nf) if isinstance(m, Conv1D) else (m.in_features, m.out_features) for m in linear_layers)  # type: ignore[misc]


def running_as(number: int, widths: Widths, forward: Callable[..., Any]) -> Callable[..., Any]:
    """Return a layer's forward that tells its linear layers which LoRA applies.

    number (int): The layer's index.
    widths (Widths): The widths of its linear layers.
    """
    sizes = [width for pair in widths for width in pair]

    def run(*args: Any, **kwargs: Any) -> Any:
        injection = active_injection()
        with _as_running(_find_running(injection, number, sizes)):
            return forward(*args, **kwargs)

    return run


def open_linear_layers(linear_layers: Sequence[nn.Module]) -> None:
    """Let LoRA add to the outputs of a layer's linear layers, which are identified by their order, or replace them."""
    for place, module in enumerate(linear_layers):
        if not hasattr(module.forward, IS_OPEN):
            module.forward = _opened(place, module.forward)


@contextmanager
def without_lora() -> Iterator[None]:
    """Leave LoRA out inside this context, for linear layers that read something else than pieces (positions)."""
    with _as_running(NOTHING):
        yield


def _find_running(injection: Injection | None, number: int, sizes: Sequence[int]) -> Running:
    if injection is None:
        return NOTHING
    return Running(injection.split_lora(number, sizes), injection.linears_of(number))


@contextmanager
def _as_running(running: Running) -> Iterator[None]:
    token = _running.set(running)
    try:
        yield
    finally:
        _running.reset(token)


def _opened(place: int, original: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the forward of a linear layer that does what concerns it in the layer that is now running."""

    def forward(states: torch.Tensor) -> torch.Tensor:
        loras, linears = _running.get()
        if linears is not None:
            return linears[place](states)
        output = original(states)
        injection = active_injection()
        if loras is None or injection is None:
            return output
        return injection.with_lora(place, loras, states, output)

    setattr(forward, IS_OPEN, True)
    return forward
