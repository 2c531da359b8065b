"""Which prompt the attention of each layer takes up right now.

In: `injected(prompts)` around a call of a backbone. Out: for the attention code of each layer, the prompt that stands
before its keys and values in this very thread. It travels in a context variable, so threads and pipelines that share a
model never see each other's. No `past_key_values` takes part, so positions stay as they are.
Source: Liu et al. 2021, section 3.2, https://arxiv.org/abs/2110.07602.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch
from torch.nn.functional import pad


@dataclass(frozen=True)
class LayerPrompt:
    """What stands before the keys and values of one layer.

    key_values (Tensor): Keys, then values. Shape: (2, length, key_width), the same for all rows of a batch, or
    (2, rows, length, key_width). seen (Tensor | None): Which positions each row sees, Shape: (rows, length), bool;
    None for all. A position is switched off by not being seen: a key of zeros would still take its share of attention.
    """

    key_values: torch.Tensor
    seen: torch.Tensor | None = None

    @property
    def length(self) -> int:
        """Number of positions."""
        return self.key_values.shape[-2]


LayerPrompts = Mapping[int, LayerPrompt]
KeyValues = dict[int, tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True)
class Injection:
    """What happens to the calls inside a context: the prompts, and the layers whose keys and values are noted down."""

    prompts: LayerPrompts = field(default_factory=dict)
    recorded: KeyValues | None = None

    def concerns(self, layer: int) -> bool:
        """Return whether the attention of a layer has anything to do differently."""
        return self.recorded is not None or (layer in self.prompts and self.prompts[layer].length > 0)


_active: ContextVar[Injection | None] = ContextVar("spacy_ptv2_injection", default=None)


@contextmanager
def injected(prompts: LayerPrompts) -> Iterator[None]:
    """Put prompts into every call of a backbone made inside this context, in this thread only."""
    token = _active.set(Injection(prompts))
    try:
        yield
    finally:
        _active.reset(token)


@contextmanager
def recorded_key_values() -> Iterator[KeyValues]:
    """Note down what the attention of each layer attends to, in calls of a backbone without a prompt.

    Yields {layer: (keys, values)}, as the scores see them (after any rotation). Shape of each: (batch, heads, pieces,
    head_width).
    """
    recorded: KeyValues = {}
    token = _active.set(Injection(recorded=recorded))
    try:
        yield recorded
    finally:
        _active.reset(token)


def active_injection(layer: int) -> Injection | None:
    """Return the injection that concerns a layer in this thread, or None: then attention is to be left alone."""
    injection = _active.get()
    return injection if injection is not None and injection.concerns(layer) else None


def stack_rows(rows: Sequence[LayerPrompts]) -> dict[int, LayerPrompt]:
    """Return one set of prompts in which row i of a batch has the prompts of `rows[i]`.

    rows (Sequence[LayerPrompts]): Prompts the same for all rows, of any layers and lengths. Where one is shorter than
    others or absent, what pads it is not seen.
    """
    stacked: dict[int, LayerPrompt] = {}
    for layer in sorted({layer for prompts in rows for layer in prompts}):
        present = [prompts[layer] for prompts in rows if layer in prompts]
        length = max(prompt.length for prompt in present)
        absent = present[0].key_values[:, :0]
        key_values = [prompts[layer].key_values if layer in prompts else absent for prompts in rows]
        lengths = torch.tensor([values.shape[1] for values in key_values], device=absent.device)
        stacked[layer] = LayerPrompt(
            torch.stack([pad(values, (0, 0, 0, length - values.shape[1])) for values in key_values], dim=1),
            torch.arange(length, device=absent.device) < lengths[:, None],
        )
    return stacked
