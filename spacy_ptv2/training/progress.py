"""The progress of training: everything that decides how it continues, in addition to weights and optimizer state."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class RandomState:
    """The states of all random generators that training uses. of_gpus (tuple): Those of torch, one per GPU."""

    of_python: tuple[Any, ...]
    of_numpy: Any
    of_torch: torch.Tensor
    of_gpus: tuple[torch.Tensor, ...]

    @classmethod
    def capture(cls) -> RandomState:
        """Return the current states."""
        of_gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
        return cls(random.getstate(), np.random.get_state(), torch.get_rng_state(), tuple(of_gpus))

    def restore(self) -> None:
        """Set all generators to these states."""
        random.setstate(self.of_python)
        np.random.set_state(self.of_numpy)
        torch.set_rng_state(self.of_torch)
        if self.of_gpus:
            torch.cuda.set_rng_state_all(list(self.of_gpus))


@dataclass
class PipelineState:
    """The progress of one pipeline.

    results (list[tuple[float, int]]): Score and step of each evaluation.
    losses (dict[str, float]): Of each component, since the last evaluation.
    random (RandomState | None): The pipeline's own generators, if it trains together with others.
    """

    results: list[tuple[float, int]] = field(default_factory=list)
    losses: dict[str, float] = field(default_factory=dict)
    random: RandomState | None = None

    @property
    def best(self) -> tuple[float, int]:
        """The best score, and the first step that reached it."""
        score, negative_step = max((score, -step) for score, step in self.results)
        return score, -negative_step


@dataclass
class LoopState:
    """The progress of a loop.

    n_steps (int): Steps taken so far.
    epoch, n_batches (int): The current epoch, from 0, and the batches taken in it.
    order (list[int] | None): The order of the corpus's examples in this epoch; None if the corpus is streamed.
    words (int), seconds (float): So far.
    pipelines (list[PipelineState]): One for each pipeline.
    random (RandomState | None): After the last evaluation.
    """

    n_steps: int = 0
    epoch: int = 0
    n_batches: int = 0
    order: list[int] | None = None
    words: int = 0
    seconds: float = 0.0
    pipelines: list[PipelineState] = field(default_factory=list)
    random: RandomState | None = None

    @property
    def step(self) -> int:
        """The number of the last step; the first is 0."""
        return self.n_steps - 1
