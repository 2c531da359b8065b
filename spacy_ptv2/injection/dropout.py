"""Dropout drawn per group of rows, so that an adapter trains the same alone and together with others.

Each dropout in a model draws from its own seed, made from the row group's seed and the number of the place. So a mask
depends neither on other rows nor on other draws, and it is the same when a layer is recomputed for its gradients.
Layers below the first one that a group changes drop nothing: their hidden states are the same for every adapter, in
every epoch.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch.nn.functional import dropout

STEPS = 256  # `drop_states` rounds a rate to a multiple of 1 / STEPS

_lock = threading.RLock()  # all threads share torch's generators


@dataclass(frozen=True)
class Draws:
    """What determines the dropout of a row group in one pass.

    seed (int): The seed of its random numbers.
    first_layer (int): The first layer that drops anything; with 0 the embeddings do, too.
    """

    seed: int
    first_layer: int

    def rate(self, layer: int, rate: float) -> float:
        """Return the rate at which a layer drops."""
        return rate if layer >= self.first_layer else 0.0


@contextmanager
def drawing_from(seed: int, device: torch.device) -> Iterator[None]:
    """Let torch draw from a seed inside this context. Afterwards its generator is as it was before."""
    generator = torch.cuda.default_generators[device.index] if device.type == "cuda" else torch.default_generator
    with _lock:
        state = generator.get_state()
        generator.manual_seed(seed)
        try:
            yield
        finally:
            generator.set_state(state)


def drop_states(states: torch.Tensor, rate: float, seed: int) -> torch.Tensor:
    """Return hidden states with dropout drawn from a seed.

    On CPUs one random byte decides about each number, where torch draws 32 bits. This takes half the time. The rate is
    rounded to 1/256, and the rest is scaled to match, so expectations stay the same.
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
