"""Dropout drawn per group of rows, so that an adapter trains the same alone and together with others.

Each place of a model that drops something draws from a seed of its own, made from that of the row group and the number
of the place. So what is drawn depends neither on other rows nor on draws elsewhere, and is the same when a layer runs
a second time for its gradients. Layers below the first one that a group changes drop nothing: what they give is the
same for every prompt, in every epoch.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch.nn.functional import dropout

STEPS = 256  # in which `drop_states` counts a rate

_lock = threading.RLock()  # torch's generators are those of all threads


@dataclass(frozen=True)
class Draws:
    """What decides the dropout of a row group in one pass.

    seed (int): Of its random numbers. first_layer (int): The first layer that drops anything; 0 lets embeddings, too.
    """

    seed: int
    first_layer: int

    def rate(self, layer: int, rate: float) -> float:
        """Return the rate at which a layer drops."""
        return rate if layer >= self.first_layer else 0.0


@contextmanager
def drawing_from(seed: int, device: torch.device) -> Iterator[None]:
    """Let torch draw from a seed inside this context, and go on as if nothing had been drawn behind it."""
    generator = torch.cuda.default_generators[device.index] if device.type == "cuda" else torch.default_generator
    with _lock:
        state = generator.get_state()
        generator.manual_seed(seed)
        try:
            yield
        finally:
            generator.set_state(state)


def drop_states(states: torch.Tensor, rate: float, seed: int) -> torch.Tensor:
    """Return states under dropout by the numbers of a seed.

    On CPUs a byte decides for each number, where torch draws 32 bits: in half the time, and with the rate rounded to
    1/256 (the rest is scaled accordingly, so expectations stay).
    """
    if states.device.type != "cpu":
        with drawing_from(seed, states.device):
            return dropout(states, rate)
    dropped = round(rate * STEPS)
    if dropped == STEPS:
        return torch.zeros_like(states)
    generator = torch.Generator().manual_seed(seed)
    words = torch.empty((states.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None, generator=generator)
    drawn = words.view(torch.uint8)[: states.numel()].view(states.shape)
    return states * (drawn >= dropped).to(states.dtype).mul_(STEPS / (STEPS - dropped))
