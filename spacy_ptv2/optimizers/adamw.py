"""AdamW for prompts under `spacy train`: a learning rate per part, one global gradient norm, one schedule.

thinc's own optimizer has one learning rate, clips each tensor by itself and steps each tensor as it arrives (thinc
8.3.14). Here the tensors of a step are collected as they arrive and stepped together when spaCy calls
`step_schedules`, so that the norm is taken over all of them. And where training comes to nothing (`divergence.py`), it
begins anew by itself, at lower rates. What spaCy evaluates and saves is an average of the steps.
Source: Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101; Shamir and Zhang 2013, section 4 (polynomial-decay
averaging), https://arxiv.org/abs/1212.1824.
"""

import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from thinc.api import Optimizer, get_array_module
from thinc.types import FloatsXd

from ..errors import Errors, PTuningError, Warnings
from ..parts import PARTS, part_of
from .divergence import DivergenceWatch

Key = tuple[int, str]

# Rates at which something has ever trained well: 1e-4 (with an MLP) to 6e-2, for prompt and head, in the scripts of the
# authors, and others in docs/recipes.md.
WORKED = {
    "prompt": (1e-4, 0.3),
    "adapter": (1e-4, 1e-2),
    "layer_mix": (1e-4, 0.1),
    "casing": (1e-4, 0.1),
    "head": (1e-4, 0.1),
}
LOWER = 1 / 3  # rates after a restart, as a share of those before it
WARMUP_STEPS = 20  # after a restart, in which they rise to that
AVERAGING = 8  # eta of the source: two thirds of the weight is on the last ninth of the steps


@dataclass
class _State:
    """Running moments of one tensor."""

    first: FloatsXd
    second: FloatsXd
    steps: int = 0


@dataclass
class Pending:
    """One tensor that waits for the step: its array is changed in place."""

    weights: FloatsXd
    gradient: FloatsXd


@dataclass(frozen=True)
class AdamWSettings:
    """Peak learning rates and decoupled weight decay per part (see `PARTS`), Adam's constants, restarts, averages."""

    learn_rates: Mapping[str, float]
    weight_decays: Mapping[str, float] = field(default_factory=dict)
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    grad_clip: float = 1.0
    restarts: int = 3
    use_averages: bool = True


class PromptAdamW(Optimizer):
    """AdamW with a learning rate per part and global norm clipping, in the shape that spaCy's training loop expects.

    A tensor that arrives twice begins a new step, so `nlp.update(..., sgd=optimizer)` works outside `spacy train` too;
    call `step()` after the last update there. Components that know how well chance would do report their losses to
    `observe`. A restart puts every tensor back to what it was before its first step, and goes on with the schedule.
    `averages` holds the averages of the tensors, under their keys, for `nlp.use_params`.
    """

    __slots__ = ("_n_restarts", "_pending", "_starts", "_states", "_steps", "_watch", "settings")

    def __init__(self, settings: AdamWSettings, schedule: Iterable[float]) -> None:
        super().__init__(iter(schedule), grad_clip=settings.grad_clip, use_averages=settings.use_averages)  # type: ignore[arg-type]
        self.settings = settings
        self._pending: dict[Key, Pending] = {}
        self._states: dict[Key, _State] = {}
        self._starts: dict[Key, FloatsXd] = {}
        self._watch = DivergenceWatch()
        self._n_restarts = 0
        self._steps = 0  # since the last restart

    def observe(self, loss: float, chance: float) -> None:
        """Take note of a component's loss in this step, and of what chance would lose; see `DivergenceWatch`."""
        self._watch.note(loss, chance)

    def __call__(
        self, key: Key, weights: FloatsXd, gradient: FloatsXd, *, lr_scale: float = 1.0
    ) -> tuple[FloatsXd, FloatsXd]:
        """Collect a tensor and its gradient for the step; the weights change in place when it is taken."""
        if key in self._pending:
            self.step()
        self._pending[key] = Pending(weights, gradient * lr_scale)
        if self.settings.restarts and key not in self._starts:
            self._starts[key] = weights.copy()
        _overwrite(gradient, 0.0)  # times 0, one that is not a number would stay that
        return weights, gradient

    def step_schedules(self) -> None:
        """Step every collected tensor, then move the schedule on. spaCy calls this once per batch."""
        self.step()
        before = self.learn_rate
        super().step_schedules()  # type: ignore[no-untyped-call]
        if self.learn_rate > before:
            self._watch.forget()

    def step(self) -> float:
        """Clip by the global norm and step every collected tensor, or restart where that is due.

        A step whose gradients are not numbers is left out. RETURNS (float): The gradients' global norm before clipping.
        RAISES (PTuningError): P409 if several of them come in a row and there are no restarts left.
        """
        squares = [_square_sum(pending.gradient) for pending in self._pending.values()]
        norm = math.sqrt(sum(squares))
        problem = self._watch.problem(norm)
        if problem is not None and self._restart(problem):
            return norm
        if not math.isfinite(norm):
            if problem is not None:
                raise PTuningError(Errors.P409.format(problem=problem, rates=self._rates(), restarts=self._n_restarts))
            self._pending = {}
            return norm
        self._steps += 1
        scale = min(1.0, self.grad_clip / norm) if self.grad_clip and norm else 1.0
        for key, pending in self._pending.items():
            self._step_one(key, pending, scale)
            self._average(key, pending.weights)
        self._pending = {}
        return norm

    def _restart(self, problem: str) -> bool:
        """Put every tensor back to its start, at lower rates, and say so. RETURNS (bool): False if none is left."""
        if self._n_restarts == self.settings.restarts:
            return False
        for key, pending in self._pending.items():
            _overwrite(pending.weights, self._starts[key])
        self._n_restarts += 1
        self._steps = 0
        self._states, self._pending = {}, {}
        if self.averages is not None:
            self.averages = {}
        self._watch.forget()
        left = self.settings.restarts - self._n_restarts
        warnings.warn(Warnings.PW08.format(problem=problem, rates=self._rates(), left=left), stacklevel=3)
        return True

    def _average(self, key: Key, weights: FloatsXd) -> None:
        """Let a tensor's average take in what it is now."""
        if self.averages is None:
            return
        if key not in self.averages:
            self.averages[key] = weights.copy()
        self.averages[key] += averaging_share(self._steps) * (weights - self.averages[key])

    def _share(self) -> float:
        """Return the present share of the configured rates: less after each restart."""
        rise = min(1.0, self._steps / WARMUP_STEPS) if self._n_restarts else 1.0
        return float(LOWER**self._n_restarts * rise)

    def _rates(self) -> str:
        """Return the peak rates that are in force, for messages."""
        share = LOWER**self._n_restarts
        return ", ".join(f"{part} {rate * share:.2g}" for part, rate in self.settings.learn_rates.items())

    def _state(self, key: Key, weights: FloatsXd) -> _State:
        """Return a tensor's running moments, in their first step zeros."""
        if key not in self._states:
            xp = get_array_module(weights)
            self._states[key] = _State(xp.zeros_like(weights), xp.zeros_like(weights))
        return self._states[key]

    def _rate(self, part: str) -> float:
        """Return the rate of a part in this step."""
        return self.learn_rate * self.settings.learn_rates[part] * self._share()

    def _step_one(self, key: Key, pending: Pending, scale: float) -> None:
        weights, gradient = pending.weights, pending.gradient * scale
        xp = get_array_module(weights)
        state = self._state(key, weights)
        state.steps += 1
        beta1, beta2 = self.settings.beta1, self.settings.beta2
        state.first += (1 - beta1) * (gradient - state.first)
        state.second += (1 - beta2) * (gradient * gradient - state.second)
        part = part_of(key[1])
        rate = self._rate(part)
        first = state.first / (1 - beta1**state.steps)
        second = state.second / (1 - beta2**state.steps)
        weights *= 1 - rate * self.settings.weight_decays.get(part, 0.0)
        weights -= rate * first / (xp.sqrt(second) + self.settings.eps)


def averaging_share(step: int) -> float:
    """Return how much of an average of the steps the newest has; the first is step 1."""
    return (AVERAGING + 1) / (AVERAGING + step)


def check_learn_rates(learn_rates: Mapping[str, float], weight_decays: Mapping[str, float], restarts: int) -> None:
    """Refuse settings that cannot be, and warn of rates at which nothing is known to have trained; 0 keeps a part.

    RAISES (PTuningError): P405, P407.
    """
    if restarts < 0:
        raise PTuningError(Errors.P407.format(name="restarts", expected="at least 0", got=restarts))
    if set(learn_rates) != set(PARTS):
        raise PTuningError(Errors.P405.format(expected=", ".join(PARTS), got=", ".join(sorted(learn_rates))))
    if not set(weight_decays) <= set(PARTS):
        raise PTuningError(Errors.P405.format(expected=", ".join(PARTS), got=", ".join(sorted(weight_decays))))
    for part, (least, most) in WORKED.items():
        if learn_rates[part] and not least <= learn_rates[part] <= most:
            message = Warnings.PW09.format(part=part, got=f"{learn_rates[part]:g}", least=least, most=most)
            warnings.warn(message, stacklevel=3)


def _overwrite(array: Any, values: Any) -> None:
    """Put values into an array in place."""
    array[...] = values


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
    restarts: int = 3,
    use_averages: bool = True,
) -> Optimizer:
    """Build AdamW for prompts.

    learn_rates (dict[str, float]): Peak rate of each part: prompt, adapter, layer_mix, casing, head (everything else).
    schedule (Iterable[float]): Factors on all rates, one per step; see `spacy_ptv2.warmup_linear.v1`.
    weight_decays (dict[str, float]): Decoupled decay per part, 0 where not given.
    grad_clip (float): Largest global gradient norm, 0 for none.
    restarts (int): How often training may begin anew, at a third of the rates, where it comes to nothing.
    use_averages (bool): Keep averages of the steps, which `spacy train` evaluates and saves in place of the last.
    RAISES (PTuningError): P405 if a part is missing or unknown; P407 for a negative number of restarts.
    """
    check_learn_rates(learn_rates, weight_decays, restarts)
    rates, decays = dict(learn_rates), dict(weight_decays)
    settings = AdamWSettings(rates, decays, beta1, beta2, eps, grad_clip, restarts, use_averages)
    return PromptAdamW(settings, schedule)
