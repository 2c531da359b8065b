"""AdamW for prompts under `spacy train`: a learning rate per part, one global gradient norm, one schedule.

thinc's own optimizer has one learning rate, clips each tensor by itself and steps each tensor as it arrives (thinc
8.3.14). Here the tensors of a step are collected as they arrive and stepped together when spaCy calls
`step_schedules`, so that the norm is taken over all of them.
Source: Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from thinc.api import Optimizer, get_array_module
from thinc.types import FloatsXd

from ..errors import Errors, PTuningError
from ..parts import PARTS, part_of

Key = tuple[int, str]


@dataclass
class _State:
    """Running moments of one tensor."""

    first: FloatsXd
    second: FloatsXd
    steps: int = 0


@dataclass
class _Pending:
    """One tensor that waits for the step: its array is changed in place."""

    weights: FloatsXd
    gradient: FloatsXd


@dataclass(frozen=True)
class AdamWSettings:
    """Peak learning rates per part (see `PARTS`), decoupled weight decay per part, and Adam's constants."""

    learn_rates: Mapping[str, float]
    weight_decays: Mapping[str, float] = field(default_factory=dict)
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    grad_clip: float = 1.0


class PromptAdamW(Optimizer):
    """AdamW with a learning rate per part and global norm clipping, in the shape that spaCy's training loop expects.

    A tensor that arrives twice begins a new step, so `nlp.update(..., sgd=optimizer)` works outside `spacy train` too;
    call `step()` after the last update there.
    """

    __slots__ = ("_pending", "_states", "settings")

    def __init__(self, settings: AdamWSettings, schedule: Iterable[float]) -> None:
        super().__init__(iter(schedule), grad_clip=settings.grad_clip, use_averages=False)  # type: ignore[arg-type]
        self.settings = settings
        self._pending: dict[Key, _Pending] = {}
        self._states: dict[Key, _State] = {}

    def __call__(
        self, key: Key, weights: FloatsXd, gradient: FloatsXd, *, lr_scale: float = 1.0
    ) -> tuple[FloatsXd, FloatsXd]:
        """Collect a tensor and its gradient for the step; the weights change in place when it is taken."""
        if key in self._pending:
            self.step()
        self._pending[key] = _Pending(weights, gradient * lr_scale)
        gradient *= 0
        return weights, gradient

    def step_schedules(self) -> None:
        """Step every collected tensor, then move the schedule on. spaCy calls this once per batch."""
        self.step()
        super().step_schedules()  # type: ignore[no-untyped-call]

    def step(self) -> float:
        """Clip by the global norm and step every collected tensor.

        RETURNS (float): The gradients' global norm before clipping.
        """
        squares = [_square_sum(pending.gradient) for pending in self._pending.values()]
        norm = math.sqrt(sum(squares))
        scale = min(1.0, self.grad_clip / norm) if self.grad_clip and norm else 1.0
        for key, pending in self._pending.items():
            self._step_one(key, pending, scale)
        self._pending = {}
        return norm

    def _step_one(self, key: Key, pending: _Pending, scale: float) -> None:
        weights, gradient = pending.weights, pending.gradient * scale
        xp = get_array_module(weights)
        state = self._states.setdefault(key, _State(xp.zeros_like(weights), xp.zeros_like(weights)))
        state.steps += 1
        beta1, beta2 = self.settings.beta1, self.settings.beta2
        state.first += (1 - beta1) * (gradient - state.first)
        state.second += (1 - beta2) * (gradient * gradient - state.second)
        part = part_of(key[1])
        rate = self.learn_rate * self.settings.learn_rates[part]
        first = state.first / (1 - beta1**state.steps)
        second = state.second / (1 - beta2**state.steps)
        weights *= 1 - rate * self.settings.weight_decays.get(part, 0.0)
        weights -= rate * first / (xp.sqrt(second) + self.settings.eps)


def _square_sum(array: Any) -> float:
    """Return the sum of squares, in double precision."""
    return float((array.astype("float64") ** 2).sum())


def build_adamw_v1(
    learn_rates: dict[str, float],
    schedule: Any,
    weight_decays: dict[str, float] = {},  # noqa: B006 (never changed; the signature is the config's)
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    grad_clip: float = 1.0,
) -> Optimizer:
    """Build AdamW for prompts.

    learn_rates (dict[str, float]): Peak rate of each part: prompt, layer_mix, casing, head (everything else).
    schedule (Iterable[float]): Factors on all rates, one per step; see `spacy_ptv2.warmup_linear.v1`.
    weight_decays (dict[str, float]): Decoupled decay per part, 0 where not given.
    grad_clip (float): Largest global gradient norm, 0 for none.
    RAISES (PTuningError): P405 if a part is missing or unknown.
    """
    if set(learn_rates) != set(PARTS):
        raise PTuningError(Errors.P405.format(expected=", ".join(PARTS), got=", ".join(sorted(learn_rates))))
    if not set(weight_decays) <= set(PARTS):
        raise PTuningError(Errors.P405.format(expected=", ".join(PARTS), got=", ".join(sorted(weight_decays))))
    settings = AdamWSettings(dict(learn_rates), dict(weight_decays), beta1, beta2, eps, grad_clip)
    return PromptAdamW(settings, schedule)
