"""Factors on the learning rates, from 0 to 1, as functions of the step, so that a schedule's position is one number."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from ..errors import Errors, PTuningError

Schedule = Callable[[int], float]


@dataclass(frozen=True)
class WarmupLinear:
    """Rises to 1 over the first steps, then falls to 0 at `total_steps` and stays there."""

    total_steps: int
    warmup_steps: int

    def __call__(self, step: int) -> float:
        """Return the factor of a step; the first is step 0."""
        if step >= self.total_steps:
            return 0.0
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        return (self.total_steps - step) / max(1, self.total_steps - self.warmup_steps)


@dataclass(frozen=True)
class EpochDecay:
    """1 in the first epoch, then multiplied by `decay` in each epoch."""

    steps_per_epoch: int
    decay: float

    def __call__(self, step: int) -> float:
        """Return the factor of a step; the first is step 0."""
        return math.prod(repeat(self.decay, step // self.steps_per_epoch), start=1.0)


class Listed:
    """The numbers of an iterable, such as one of Thinc's generators; after its end, the last number."""

    def __init__(self, numbers: Iterable[float]) -> None:
        self._numbers: Iterator[float] = iter(numbers)
        self._seen: list[float] = []

    def __call__(self, step: int) -> float:
        """Return the number of a step; the first is step 0."""
        while len(self._seen) <= step:
            try:
                self._seen.append(float(next(self._numbers)))
            except StopIteration:
                break
        return self._seen[min(step, len(self._seen) - 1)]


def as_schedule(given: Any) -> Schedule:
    """Return a function of the step for whatever a config may name as a schedule.

    given (Callable[[int], float] | Iterable[float] | float): A function of the step, numbers in turn, or one number.
    RAISES (PTuningError): P417 for anything else, and for an empty iterable.
    """
    schedule = given if callable(given) else Listed(given if isinstance(given, Iterable) else repeat(given))
    try:
        float(schedule(0))
    except (TypeError, ValueError, LookupError) as error:
        raise PTuningError(Errors.P417.format(got=f"{given!r:.100}")) from error
    return schedule


def build_warmup_linear_v1(total_steps: int, warmup: float = 0.06) -> Schedule:
    """Rise linearly to 1 over a share of the training, then fall linearly to 0.

    total_steps (int): Steps of the whole training.
    warmup (float): The share of them in which the rates rise, from 0 to 1.
    RAISES (PTuningError): P407.
    """
    if total_steps < 1:
        raise PTuningError(Errors.P407.format(name="total_steps", expected="at least 1", got=total_steps))
    if not 0.0 <= warmup <= 1.0:
        raise PTuningError(Errors.P407.format(name="warmup", expected="between 0 and 1", got=warmup))
    return WarmupLinear(total_steps, round(total_steps * warmup))


def build_epoch_decay_v1(steps_per_epoch: int, decay: float = 0.95) -> Schedule:
    """Multiply by `decay` after each epoch, without warm-up, as the reference does for NER and semantic role labelling.

    steps_per_epoch (int): Steps in an epoch. RAISES (PTuningError): P407.
    """
    if steps_per_epoch < 1:
        raise PTuningError(Errors.P407.format(name="steps_per_epoch", expected="at least 1", got=steps_per_epoch))
    return EpochDecay(steps_per_epoch, decay)
