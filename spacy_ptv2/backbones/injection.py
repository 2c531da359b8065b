"""Prompts in front of the keys and values of attention, by hooks that are installed once and do nothing by default.

In: a model's `AttentionSite`s. Out: the same model, in which `injected(prompts)` puts trained keys and values before
those of the pieces for the calls made inside it. The prompt travels in a context variable, so threads and pipelines
that share a model never see each other's. No `past_key_values` takes part, so positions stay as they are.
Source: Liu et al. 2021, section 3.2, https://arxiv.org/abs/2110.07602.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.functional import pad

# The prompt of each prompted layer. Shape of a value: (2, length, hidden_width), keys first.
LayerPrompts = Mapping[int, torch.Tensor]

_active: ContextVar[LayerPrompts | None] = ContextVar("spacy_ptv2_prompts", default=None)


@dataclass(frozen=True)
class AttentionSite:
    """One self-attention block: the module that is called with the mask, and its key and value projections.

    mask_index (int): The position of `attention_mask` among the block's positional arguments.
    """

    module: nn.Module
    key: nn.Module
    value: nn.Module
    mask_index: int = 1


@contextmanager
def injected(prompts: LayerPrompts) -> Iterator[None]:
    """Inject prompts into every call of hooked models made inside this context, in this thread only."""
    token = _active.set(prompts)
    try:
        yield
    finally:
        _active.reset(token)


def install_hooks(sites: list[AttentionSite]) -> None:
    """Hook the attention blocks of a model. Outside `injected` the model computes exactly what it did before."""
    for index, site in enumerate(sites):
        site.key.register_forward_hook(_prepend(index, part=0))
        site.value.register_forward_hook(_prepend(index, part=1))
        site.module.register_forward_pre_hook(_widen_mask(index, site.mask_index), with_kwargs=True)


def _prompt_for(index: int) -> torch.Tensor | None:
    prompts = _active.get()
    prompt = None if prompts is None else prompts.get(index)
    return None if prompt is None or prompt.shape[1] == 0 else prompt


def _prepend(index: int, part: int) -> Callable[..., torch.Tensor | None]:
    def hook(module: nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor | None:
        """output Shape: (batch, pieces, width) -> (batch, length + pieces, width)."""
        prompt = _prompt_for(index)
        if prompt is None:
            return None
        rows = prompt[part].to(output.dtype).expand(output.shape[0], -1, -1)
        return torch.cat([rows, output], dim=1)

    return hook


def _widen_mask(index: int, position: int) -> Callable[..., tuple[Any, Any] | None]:
    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
        """Let every piece see the prompt: mask Shape (..., pieces) -> (..., length + pieces)."""
        prompt = _prompt_for(index)
        if prompt is None:
            return None
        mask = args[position] if len(args) > position else kwargs.get("attention_mask")
        if mask is None:  # nothing is padded: the prompt needs no mask either
            return None
        seen = True if mask.dtype == torch.bool else 0.0  # a float mask is added to the scores
        widened = pad(mask, (prompt.shape[1], 0), value=seen)
        if len(args) > position:
            return (*args[:position], widened, *args[position + 1 :]), kwargs
        return args, {**kwargs, "attention_mask": widened}

    return hook
