"""What is injected into a backbone in this thread: the adapter of each row, read by the hooks.

In: `injected(...)` around a call of a backbone. Out: for the code in attention and around layers, what concerns it in
this very thread. It travels in a context variable, so threads and pipelines that share a model never see each other's.
No `past_key_values` takes part, so positions stay as they are.
Source: Liu et al. 2021, section 3.2, https://arxiv.org/abs/2110.07602.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch
from torch.nn.functional import dropout

from .dropout import Draws, drawing_from, drop_states
from .stages import Stage

# Keys, then values, of each prompted layer. Shape: (2, length, key_width), or where each row has its own (2, rows,
# length, key_width).
LayerPrompts = Mapping[int, torch.Tensor]
LayerLoRA = Mapping[int, torch.Tensor]  # of each layer. Shape: (rank, what its linear layers read and give)
SplitLoRA = Sequence[torch.Tensor]  # in turn what reads, and what gives, beside each linear layer. Shape: (rank, n)
KeyValues = dict[int, tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True)
class RowGroup:
    """Consecutive rows of a batch that share a prompt.

    prompts (LayerPrompts): What stands before the keys and values of each layer. rows (int | None): Their number, None
    for all. added (Mapping[int, Tensor]): What is added to the states that enter a layer. Shape of each: (rows, pieces,
    hidden_width). draws (Draws | None): What its dropout draws in training; None: with whatever comes next. LoRA
    (LayerLoRA): What stands beside the linear layers.
    """

    prompts: LayerPrompts = field(default_factory=dict)
    rows: int | None = None
    added: Mapping[int, torch.Tensor] = field(default_factory=dict)
    draws: Draws | None = None
    loras: LayerLoRA = field(default_factory=dict)

    def at(self, layer: int) -> torch.Tensor | None:
        """Return the prompt of a layer, None if there is none."""
        prompt = self.prompts.get(layer)
        return None if prompt is None or prompt.shape[-2] == 0 else prompt

    def drop(self, states: torch.Tensor, rate: float, layer: int, place: int) -> torch.Tensor:
        """Return hidden states of these rows under dropout. The arguments: See `dropping`."""
        if self.draws is None:
            return dropout(states, rate)
        rate = self.draws.rate(layer, rate)
        return drop_states(states, rate, self.draws.seed + place) if rate else states

    @contextmanager
    def dropping(self, rate: float, layer: int, place: int, device: torch.device) -> Iterator[float]:
        """Yield the rate at which a kernel of the model drops for these rows, and let it draw their numbers.

        rate (float): Its own rate. layer (int): Where it is. place (int): Its number in the model.
        """
        rate = rate if self.draws is None else self.draws.rate(layer, rate)
        if self.draws is None or rate == 0.0:
            yield rate
        else:
            with drawing_from(self.draws.seed + place, device):
                yield rate


@dataclass(frozen=True)
class Injection:
    """What happens to the calls inside a context.

    groups (Sequence[RowGroup]): Of all rows, in order. stage (Stage | None): Which layers run. plain_attention (bool):
    Write attention out instead of calling a fused kernel. in_graph (bool): Compute in the operations that engines run
    quickest, for a graph is made of it. recorded: Where the keys and values of each layer are noted down, None for
    nowhere.
    """

    groups: Sequence[RowGroup] = ()
    stage: Stage | None = None
    plain_attention: bool = False
    in_graph: bool = False
    recorded: KeyValues | None = None

    def concerns_attention(self, layer: int) -> bool:
        """Return whether the attention of a layer has anything to do differently."""
        if self.recorded is not None or self.plain_attention:
            return True
        return any(
            group.draws is not None or group.at(layer) is not None or layer in group.loras for group in self.groups
        )

    def with_rows(self) -> list[RowGroup]:
        """Return the groups that have rows, from the first row to the last; one for all where there is none."""
        if len(self.groups) < 2:
            return list(self.groups) or [RowGroup()]
        return [group for group in self.groups if group.rows]

    def split(self, states: torch.Tensor) -> Sequence[torch.Tensor]:
        """Return the rows of each of these groups; a single group's uncut, which costs nothing in backpropagation."""
        groups = self.with_rows()
        return [states] if len(groups) == 1 else states.split([group.rows or 0 for group in groups])

    def drop(self, states: torch.Tensor, rate: float, layer: int, place: int) -> torch.Tensor:
        """Return states under dropout, each group's by its own draws.

        What all rows share, as DeBERTa's relative positions, has two dimensions and stays whole.
        """
        if states.dim() < 3:
            return states
        return self._by_group(states, lambda group, part: group.drop(part, rate, layer, place))

    def note(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> None:
        """Keep the keys and values of a layer where that is wanted."""
        if self.recorded is not None:
            self.recorded[layer] = (key, value)

    def entering(self, layer: int, states: torch.Tensor) -> torch.Tensor:
        """Return the states that enter a layer with what is added to them. Shape: (rows, pieces, hidden_width)"""
        if not any(layer in group.added for group in self.groups):
            return states

        def join(group: RowGroup, part: torch.Tensor) -> torch.Tensor:
            return part + group.added[layer].to(part.dtype) if layer in group.added else part

        return self._by_group(states, join)

    def split_lora(self, layer: int, sizes: Sequence[int]) -> list[SplitLoRA | None] | None:
        """Return LoRA of each group of rows at a layer, cut for its linear layers; None where there is none.

        sizes (Sequence[int]): What each of the linear layers reads, and gives.
        """
        if not any(layer in group.loras for group in self.groups):
            return None
        loras = (group.loras.get(layer) for group in self.with_rows())
        return [None if lora is None else lora.split(sizes, dim=1) for lora in loras]

    def with_lora(
        self, place: int, loras: Sequence[SplitLoRA | None], states: torch.Tensor, given: torch.Tensor
    ) -> torch.Tensor:
        """Return what a linear layer returned, with what LoRA adds.

        place (int): Which of the layer's linear layers it is. LoRA: See `split_lora`. states: What it read.
        Shape: (rows, pieces, nI). given: What it gave for that. Shape: (rows, pieces, nO). RETURNS: That shape.
        """
        groups = zip(loras, self.split(states), self.split(given), strict=True)
        in_place = not (torch.is_grad_enabled() or self.in_graph)  # engines find the sum themselves
        return join_rows(
            [part if own is None else _add(own, place, read, part, in_place=in_place) for own, read, part in groups]
        )

    def _by_group(self, states: torch.Tensor, change: Callable[[RowGroup, torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """Return the rows of each group as it changes them."""
        pairs = zip(self.with_rows(), self.split(states), strict=True)
        return join_rows([change(group, part) for group, part in pairs])


def join_rows(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the rows of all parts, a single part as it is."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _add(lora: SplitLoRA, place: int, states: torch.Tensor, given: torch.Tensor, *, in_place: bool) -> torch.Tensor:
    """Return what a linear layer has just given, with what LoRA adds; in the same memory if that is asked for."""
    down, up = (part.to(states.dtype) for part in lora[2 * place : 2 * place + 2])
    read = states @ down.T
    if not in_place:
        return given + read @ up
    flat, read = given.flatten(0, -2), read.flatten(0, -2).to(given.dtype)
    return flat.addmm_(read, up.to(given.dtype)).view(given.shape)


_active: ContextVar[Injection | None] = ContextVar("spacy_ptv2_injection", default=None)


@contextmanager
def injected(
    *groups: RowGroup, stage: Stage | None = None, plain_attention: bool = False, in_graph: bool = False
) -> Iterator[None]:
    """Put the prompts of row groups into every call of a backbone made inside this context, in this thread only.

    The other arguments: See `Injection`.
    """
    with _activated(Injection(groups, stage, plain_attention, in_graph)):
        yield


@contextmanager
def recorded_key_values() -> Iterator[KeyValues]:
    """Note down what the attention of each layer attends to, in calls of a backbone without a prompt.

    Yields {layer: (keys, values)}, as the scores see them (after any rotation). Shape of each: (batch, heads, pieces,
    head_width).
    """
    recorded: KeyValues = {}
    with _activated(Injection(recorded=recorded)):
        yield recorded


def active_injection() -> Injection | None:
    """Return what is injected in this thread, or None: then a model is to be left alone."""
    return _active.get()


def attention_injection(layer: int) -> Injection | None:
    """Return what is injected if it concerns the attention of a layer, or None: then it is to be left alone."""
    injection = _active.get()
    return injection if injection is not None and injection.concerns_attention(layer) else None


@contextmanager
def _activated(injection: Injection) -> Iterator[None]:
    token = _active.set(injection)
    try:
        yield
    finally:
        _active.reset(token)
