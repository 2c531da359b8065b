"""Products with frozen weights in float32 by oneDNN, on CPUs where that is quicker than what torch does by itself.

Torch multiplies float32 by MKL, which goes by the maker: on CPUs of AMD it leaves AVX-512 alone. oneDNN is a part of
torch as well, multiplies its bfloat16, goes by the instructions that there are, and takes half the time there
(benchmarks/speed/linear_kernels.py). A weight that does not train needs one product forward and one backward, and no
copy of it in another layout.
"""

from __future__ import annotations

from typing import Any

import torch

from .processor import AMD, is_made_by


def pays() -> bool:
    """Return whether this CPU multiplies float32 faster in oneDNN than in MKL."""
    if not torch.backends.mkl.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    if torch.backends.cpu.get_cpu_capability() != "AVX512":  # with AVX2 there is little between them
        return False
    return is_made_by(AMD)


def frozen_linear(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Return what torch's `linear` returns, with a gradient for the states alone.

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
        """Return the gradient with respect to the states."""
        (weight,) = ctx.saved_tensors
        return _multiply(gradients[0], weight.t(), None), None, None


def _multiply(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(states, weight, bias, "none", [], "")
    return product
