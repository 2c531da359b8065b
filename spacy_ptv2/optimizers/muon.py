"""Muon, as an update rule: the momentum of each head's keys and values is made orthogonal.

Adam's steps follow the few directions in which the gradients of a prompt are large. The nearest matrix whose singular
values are all 1 goes equally far in every direction, which trains prompts in fewer steps (docs/experiments/recipes.md).
Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/ (Muon and its iteration); Liu et al. 2025,
section 2.2, https://arxiv.org/abs/2502.16982 (steps as large as AdamW's, so that the same rates fit).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from thinc.api import Optimizer, get_array_module
from thinc.types import FloatsXd

from ..errors import Errors, PTuningError
from .adamw import AdamW
from .base import StepOptimizer
from .rules import RuleState, StepSize, UpdateRule
from .settings import LORAPLUS_RATIO, StepSettings
from .tensors import Blocks, Contents

ITERATION = (3.4445, -4.7750, 2.0315)  # coefficients of the odd polynomial of degree 5, for speed: singular values end
N_ITERATIONS = 5  # between about 0.7 and 1.2
ADAM_RMS = 0.2  # the root mean square of AdamW's steps, as a share of the rate


@dataclass(frozen=True)
class Muon:
    """The rule for tensors described as matrices. momentum (float): Nesterov's. rest (UpdateRule): For all others."""

    momentum: float = 0.95
    rest: UpdateRule = field(default_factory=AdamW)

    name = "muon"

    def updated(
        self, weights: FloatsXd, gradient: FloatsXd, state: RuleState, size: StepSize, contents: Contents | None
    ) -> tuple[FloatsXd, RuleState]:
        """See `UpdateRule.updated`."""
        if not isinstance(contents, Blocks):
            return self.rest.updated(weights, gradient, state, size, contents)
        first = state.array("first", weights) * self.momentum + gradient
        step = orthogonal_blocks(gradient + self.momentum * first, contents)
        return size.shrink(weights) - size.rate * step, RuleState({"first": first}, state.steps + 1)


def orthogonal_blocks(momentum: Any, blocks: Blocks) -> Any:
    """Return a tensor with each of its matrices made orthogonal, with entries of the size of AdamW's steps.

    momentum (FloatsXd): Shape: (sum of row_counts, n_heads * head_width). RETURNS (FloatsXd): The same shape.
    """
    xp = get_array_module(momentum)
    parts, start = [momentum[:0]], 0
    for count, together in _runs(blocks.row_counts):
        rows = momentum[start : start + count * together]
        start += count * together
        by_head = rows.reshape(together, count, blocks.n_heads, -1).swapaxes(1, 2)
        matrices = orthogonalized(by_head.reshape(together * blocks.n_heads, count, -1))
        scaled = ADAM_RMS * max(matrices.shape[1:]) ** 0.5 * matrices
        parts.append(scaled.reshape(by_head.shape).swapaxes(1, 2).reshape(rows.shape))
    return xp.concatenate(parts)


def orthogonalized(matrices: Any) -> Any:
    """Return roughly the nearest matrices with singular values 1. Shape of both: (n_matrices, n_rows, n_columns)"""
    xp = get_array_module(matrices)
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonalized(matrices.swapaxes(1, 2)).swapaxes(1, 2)
    sizes = xp.sqrt((matrices * matrices).sum(axis=(1, 2), keepdims=True))
    matrices = matrices / xp.maximum(sizes, xp.finfo(matrices.dtype).tiny)
    a, b, c = ITERATION
    identity = xp.eye(matrices.shape[1], dtype=matrices.dtype)
    for _ in range(N_ITERATIONS):
        squares = matrices @ xp.ascontiguousarray(matrices.swapaxes(1, 2))
        matrices = (a * identity + b * squares + c * (squares @ squares)) @ matrices
    return matrices


def _runs(counts: Sequence[int]) -> list[tuple[int, int]]:
    """Return (count, how often it occurs in a row) for the counts, without zeros."""
    runs: list[tuple[int, int]] = []
    for count in counts:
        if runs and runs[-1][0] == count:
            runs[-1] = (count, runs[-1][1] + 1)
        elif count:
            runs.append((count, 1))
    return runs


def build_muon_v1(
    learn_rates: dict[str, float],
    schedule: Any,
    weight_decays: dict[str, float] = {},  # noqa: B006 (never changed; the signature is the config's)
    momentum: float = 0.95,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    grad_clip: float = 1.0,
    restarts: int = 3,
    use_averages: bool = True,
    loraplus_ratio: float = LORAPLUS_RATIO,
) -> Optimizer:
    """Build Muon for flat prompts, and AdamW for everything else.

    momentum (float): Of the prompt's gradients, at least 0 and below 1.
    The other arguments: See `build_adamw_v1`. The prompt's rate means the same as there.
    RAISES (PTuningError): P405 if a part is missing or unknown; P407 for impossible numbers; P417.
    """
    if not 0.0 <= momentum < 1.0:
        raise PTuningError(Errors.P407.format(name="momentum", expected="at least 0 and below 1", got=momentum))
    settings = StepSettings(dict(learn_rates), dict(weight_decays), grad_clip, restarts, use_averages, loraplus_ratio)
    settings.check()
    return StepOptimizer(Muon(momentum, AdamW(beta1, beta2, eps)), settings, schedule)
