"""What is injected into a backbone in this thread: the adapter of each row, read by the hooks.

In: `injected(...)` around a call of a backbone. Out: an `Injection` for the hooks in attention and around layers. It
travels in a context variable, so threads and pipelines that share a model never see each other's. `past_key_values` is
not used, so positions stay as they are.
Source: Liu et al. 2021, section 3.2, https://arxiv.org/abs/2110.07602.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch
from torch.nn.functional import dropout

from ..kernels.low_rank import read_directions
from .dropout import Draws, drawing_from, drop_states
from .stages import Stage

# Keys, then values, of each prompted layer. Shape: (2, length, key_width), or (2, rows, length, key_width) where each
# row has its own.
LayerPrompts = Mapping[int, torch.Tensor]
LayerLoRA = Mapping[int, torch.Tensor]  # by layer. Shape: (rank, sum of input and output widths of its linear layers)
LayerLinears = Mapping[int, Sequence[Callable[[torch.Tensor], torch.Tensor]]]  # by layer, in place of its own
SplitLoRA = Sequence[torch.Tensor]  # for each linear layer its A, then its B. Shape: (rank, nI), (rank, nO)
Widths = tuple[tuple[int, int], ...]  # input and output width of each linear layer of a layer
KeyValues = dict[int, tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True)
class RowGroup:
    """Consecutive rows of a batch that share an adapter.

    prompts (LayerPrompts): The prompt before the keys and values of each layer.
    rows (int | None): The number of rows, None for all.
    added (Mapping[int, Tensor]): By layer, what is added to its input. Shape of each: (rows, pieces, hidden_width)
    draws (Draws | None): The source of dropout masks in training; None to draw from torch's generators.
    loras (LayerLoRA): The LoRA of each layer's linear layers.
    linears (LayerLinears): Linear layers that LoRA is folded into, which run in place of the model's own. Only for a
        group that has all rows.
    """

    prompts: LayerPrompts = field(default_factory=dict)
    rows: int | None = None
    added: Mapping[int, torch.Tensor] = field(default_factory=dict)
    draws: Draws | None = None
    loras: LayerLoRA = field(default_factory=dict)
    linears: LayerLinears = field(default_factory=dict)

    def at(self, layer: int) -> torch.Tensor | None:
        """Return the prompt of a layer, None if there is none."""
        prompt = self.prompts.get(layer)
        return None if prompt is None or prompt.shape[-2] == 0 else prompt

    def drop(self, states: torch.Tensor, rate: float, layer: int, place: int) -> torch.Tensor:
        """Return hidden states of these rows with dropout. For the arguments see `dropping`."""
        if self.draws is None:
            return dropout(states, rate)
        rate = self.draws.rate(layer, rate)
        return drop_states(states, rate, self.draws.seed + place) if rate else states

    @contextmanager
    def dropping(self, rate: float, layer: int, place: int, device: torch.device) -> Iterator[float]:
        """Yield the dropout rate of a kernel of the model for these rows, and let it draw from their seed.

        rate (float): The kernel's own rate.
        layer (int), place (int): Its layer, and its number in the model.
        """
        rate = rate if self.draws is None else self.draws.rate(layer, rate)
        if self.draws is None or rate == 0.0:
            yield rate
        else:
            with drawing_from(self.draws.seed + place, device):
                yield rate


@dataclass(frozen=True)
class Injection:
    """What happens to calls of a backbone inside a context.

    groups (Sequence[RowGroup]): The groups of all rows, in order.
    stage (Stage | None): Which layers run; None for all.
    plain_attention (bool): Use plain attention instead of a fused kernel.
    in_graph (bool): A graph is being traced, so use the operations that engines run fastest.
    recorded (KeyValues | None): Where to record the keys and values of each layer; None not to.
    """

    groups: Sequence[RowGroup] = ()
    stage: Stage | None = None
    plain_attention: bool = False
    in_graph: bool = False
    recorded: KeyValues | None = None

    def concerns_attention(self, layer: int) -> bool:
        """Return whether a layer's attention must do anything different."""
        if self.recorded is not None or self.plain_attention:
            return True
        return any(
            group.draws is not None or group.at(layer) is not None or layer in group.loras or layer in group.linears
            for group in self.groups
        )

    def with_rows(self) -> list[RowGroup]:
        """Return the groups that have rows, in order; a single empty group if there are none."""
        if len(self.groups) < 2:
            return list(self.groups) or [RowGroup()]
        return [group for group in self.groups if group.rows]

    def split(self, states: torch.Tensor) -> Sequence[torch.Tensor]:
        """Return the rows of each such group. A single group's are not split, which saves time in backpropagation."""
        groups = self.with_rows()
        return [states] if len(groups) == 1 else states.split([group.rows or 0 for group in groups])

    def drop(self, states: torch.Tensor, rate: float, layer: int, place: int) -> torch.Tensor:
        """Return hidden states with dropout, each group with its own draws.

        Tensors that all rows share (DeBERTa's relative positions) have two dimensions and are returned unchanged.
        """
        if states.dim() < 3:
            return states
        return self._by_group(states, lambda group, part: group.drop(part, rate, layer, place))

    def note(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> None:
        """Record the keys and values of a layer if `recorded` is given."""
        if self.recorded is not None:
            self.recorded[layer] = (key, value)

    def entering(self, layer: int, states: torch.Tensor) -> torch.Tensor:
        """Return the input of a layer with what is added to it. Shape: (rows, pieces, hidden_width)"""
        if not any(layer in group.added for group in self.groups):
            return states

        def join(group: RowGroup, part: torch.Tensor) -> torch.Tensor:
            return part + group.added[layer].to(part.dtype) if layer in group.added else part

        return self._by_group(states, join)

    def split_lora(self, layer: int, sizes: Sequence[int]) -> list[SplitLoRA | None] | None:
        """Return each group's LoRA at a layer, split for its linear layers; None if no group has any there.

        sizes (Sequence[int]): The input width, then the output width, of each linear layer.
        """
        if not any(layer in group.loras for group in self.groups):
            return None
        loras = (group.loras.get(layer) for group in self.with_rows())
        return [None if lora is None else lora.split(sizes, dim=1) for lora in loras]

    def linears_of(self, layer: int) -> Sequence[Callable[[torch.Tensor], torch.Tensor]] | None:
        """Return the linear layers that run in place of a layer's own, None if its own do."""
        return self.groups[0].linears.get(layer) if len(self.groups) == 1 else None

    def with_lora(
        self, place: int, loras: Sequence[SplitLoRA | None], states: torch.Tensor, given: torch.Tensor
    ) -> torch.Tensor:
        """Return the output of a linear layer with LoRA added.

        place (int): The index of the linear layer in its layer.
        loras: See `split_lora`.
        states (Tensor): Its input. Shape: (rows, pieces, nI)
        given (Tensor): Its output. Shape, also of the result: (rows, pieces, nO)
        """
        groups = zip(loras, self.split(states), self.split(given), strict=True)
        add = _add_in_graph if self.in_graph else _add
        return join_rows(
            [part if own is None else add(own[2 * place], own[2 * place + 1], read, part) for own, read, part in groups]
        )

    def _by_group(self, states: torch.Tensor, change: Callable[[RowGroup, torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """Apply a change to the rows of each group and join them again."""
        pairs = zip(self.with_rows(), self.split(states), strict=True)
        return join_rows([change(group, part) for group, part in pairs])


def join_rows(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Join the rows of all parts; a single part is returned as it is."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _add(down: torch.Tensor, up: torch.Tensor, states: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
    """Return the output of a linear layer with LoRA added; without gradients in the memory of that output."""
    read = read_directions(states, down.to(states.dtype)).to(given.dtype)
    flat, up = given.flatten(0, -2), up.to(given.dtype)
    joined = torch.addmm(flat, read, up) if torch.is_grad_enabled() else flat.addmm_(read, up)
    return joined.view(given.shape)


def _add_in_graph(down: torch.Tensor, up: torch.Tensor, states: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
    """Return the same in the form that engines run fastest: they fuse the sum themselves."""
    return given + states @ down.to(states.dtype).T @ up.to(states.dtype)


_active: ContextVar[Injection | None] = ContextVar("spacy_ptv2_injection", default=None)


@contextmanager
def injected(
    *groups: RowGroup, stage: Stage | None = None, plain_attention: bool = False, in_graph: bool = False
) -> Iterator[None]:
    """Inject the adapters of row groups into every call of a backbone inside this context, in this thread only.

    For the other arguments see `Injection`.
    """
    with _activated(Injection(groups, stage, plain_attention, in_graph)):
        yield


@contextmanager
def recorded_key_values() -> Iterator[KeyValues]:
    """Record what each layer attends to, in calls of a backbone without a prompt.

    Yields {layer: (keys, values)}, after any rotation. Shape of each: (batch, heads, pieces, head_width)
    """
    recorded: KeyValues = {}
    with _activated(Injection(recorded=recorded)):
        yield recorded


def active_injection() -> Injection | None:
    """Return what is injected in this thread; None if models run unchanged."""
    return _active.get()


def attention_injection(layer: int) -> Injection | None:
    """Return what is injected if it concerns the attention of a layer; None if that runs unchanged."""
    injection = _active.get()
    return injection if injection is not None and injection.concerns_attention(layer) else None


@contextmanager
def _activated(injection: Injection) -> Iterator[None]:
    token = _active.set(injection)
    try:
        yield
    finally:
        _active.reset(token)
