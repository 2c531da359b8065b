"""AdamW for prompts: a learning rate per part, one global gradient norm, one schedule (`base.py`).

Source: Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101.
"""

from dataclasses import dataclass
from typing import Any

from thinc.api import Optimizer, get_array_module
from thinc.types import FloatsXd

from ..parameter_groups import part_of
from .base import StepOptimizer
from .settings import StepSettings, check_learn_rates
from .tensors import Key, Moments


@dataclass(frozen=True)
class AdamWSettings(StepSettings):
    """The common settings and Adam's constants."""

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8


class PromptAdamW(StepOptimizer):
    """AdamW with a learning rate per part; see `StepOptimizer` for all that is not the rule itself."""

    __slots__ = ()

    settings: AdamWSettings

    def updated(self, key: Key, weights: FloatsXd, gradient: FloatsXd) -> tuple[FloatsXd, Moments]:
        """See `StepOptimizer.updated`."""
        xp = get_array_module(weights)
        settings, part = self.settings, part_of(key[1])
        state = self._moments(key, weights)
        steps = state.steps + 1
        first = state.first + (1 - settings.beta1) * (gradient - state.first)
        second = state.second + (1 - settings.beta2) * (gradient * gradient - state.second)
        rate = self.rate(part)
        corrected = first / (1 - settings.beta1**steps)
        size = xp.sqrt(second / (1 - settings.beta2**steps)) + settings.eps
        kept = weights * (1 - rate * settings.weight_decays.get(part, 0.0))
        return kept - rate * corrected / size, Moments(first, second, steps)

    def _moments(self, key: Key, weights: FloatsXd) -> Moments:
        """Return a tensor's running moments, in its first step zeros."""
        state = self._states.get(key)
        if state is None:
            xp = get_array_module(weights)
            state = Moments(xp.zeros_like(weights), xp.zeros_like(weights))
        return state


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

    learn_rates (dict[str, float]): Peak rate of each part: prompt, lora, scalar_mix, word_shape, head.
    schedule (Iterable[float]): Factors on all rates, one per step; see `spacy_ptv2.warmup_linear.v1`.
    weight_decays (dict[str, float]): Decoupled decay per part, 0 where not given.
    grad_clip (float): Largest global gradient norm, 0 for none.
    restarts (int): How often training may begin anew, at a third of the rates, where it comes to nothing.
    use_averages (bool): Keep averages of the steps, which `spacy train` evaluates and saves in place of the last.
    RAISES (PTuningError): P405 if a part is missing or unknown; P407 for a negative number of restarts.
    """
    check_learn_rates(learn_rates, weight_decays, restarts)
    rates, decays = dict(learn_rates), dict(weight_decays)
    settings = AdamWSettings(rates, decays, grad_clip, restarts, use_averages, beta1, beta2, eps)
    return PromptAdamW(settings, schedule)
