"""AdamW, as an update rule.

Source: Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from thinc.api import Optimizer, get_array_module
from thinc.types import FloatsXd

from .base import StepOptimizer
from .rules import RuleState, StepSize
from .settings import LORAPLUS_RATIO, StepSettings
from .tensors import Contents


@dataclass(frozen=True)
class AdamW:
    """The rule, with Adam's constants."""

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    name = "adamw"

    def updated(
        self, weights: FloatsXd, gradient: FloatsXd, state: RuleState, size: StepSize, contents: Contents | None
    ) -> tuple[FloatsXd, RuleState]:
        """See `UpdateRule.updated`."""
        steps = state.steps + 1
        first, second = (state.array(name, weights) for name in ("first", "second"))
        first = first + (1 - self.beta1) * (gradient - first)
        second = second + (1 - self.beta2) * (gradient * gradient - second)
        corrected = first / (1 - self.beta1**steps)
        deviation = get_array_module(weights).sqrt(second / (1 - self.beta2**steps)) + self.eps
        stepped = size.shrink(weights) - size.rate * corrected / deviation
        return stepped, RuleState({"first": first, "second": second}, steps)


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
    loraplus_ratio: float = LORAPLUS_RATIO,
) -> Optimizer:
    """Build AdamW for adapters and heads.

    learn_rates (dict[str, float]): Peak rate of each part: prompt, lora, scalar_mix, word_shape, head.
    schedule (Callable[[int], float] | Iterable[float]): Factors on all rates; see `spacy_ptv2.warmup_linear.v1`.
    weight_decays (dict[str, float]): Decoupled decay per part, 0 where not given.
    grad_clip (float): Largest gradient norm of a layer (an adapter is one), 0 for no clipping.
    restarts (int): How often training may restart, each time at a third of the rates, after it has diverged.
    use_averages (bool): Keep averages of the steps, which `spacy train` evaluates and saves instead of the last step.
    loraplus_ratio (float): The rate of LoRA's B in terms of `learn_rates.lora`, which is that of A.
    RAISES (PTuningError): P405 if a part is missing or unknown; P407 for impossible numbers; P417.
    """
    settings = StepSettings(dict(learn_rates), dict(weight_decays), grad_clip, restarts, use_averages, loraplus_ratio)
    settings.check()
    return StepOptimizer(AdamW(beta1, beta2, eps), settings, schedule)
