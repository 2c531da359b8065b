"""Multiplies by frozen float32 weights with oneDNN, on CPUs where that is faster than torch's default.

Torch multiplies float32 with MKL, which checks the vendor: on AMD CPUs it does not use AVX-512. oneDNN is part of torch
too, multiplies its bfloat16, checks the available instructions instead, and takes half the time there
(benchmarks/speed/linear_kernels.py). A frozen weight needs one product forward and one backward, and no copy in another
layout.
"""

from __future__ import annotations

from typing import Any

import torch

from .processor import AMD, is_made_by


def pays() -> bool:
    """Return whether oneDNN multiplies float32 faster than MKL on this CPU."""
    if not torch.backends.mkl.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    if torch.backends.cpu.get_cpu_capability() != "AVX512":  # with AVX2 the two are about equally fast
        return False
    return is_made_by(AMD)


def frozen_linear(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Return what torch's `linear` returns, with a gradient for the hidden states only.

    Shapes: states (..., nI), weight (nO, nI), bias (nO,). All in float32.
    """
    product: torch.Tensor = _FrozenLinear.apply(states, weight, bias)  # type: ignore[no-untyped-call]
    return product


class _FrozenLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """See `frozen_linear`."""
        ctx.save_for_backward(weight)
        return _multiply(states, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """Return the gradient with respect to the hidden states."""
        (weight,) = ctx.saved_tensors
        return _multiply(gradients[0], weight.t(), None), None, None


def _multiply(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(states, weight, bias, "none", [], "")
    return product
