"""Reads a few directions of hidden states, in the order of operands that is fastest for so narrow a product.

In float32 on CPUs, (rank x nI) by (nI x n) takes a third of the time of (n x nI) by (nI x rank), which is the same
numbers in another layout: kernels split the longer side of a product, and seven columns fill no register
(benchmarks/speed/low_rank_kernels.py).
"""

from __future__ import annotations

import torch


def read_directions(states: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    """Return `states @ down.T`, without its leading dimensions.

    states (Tensor): Shape: (..., nI)
    down (Tensor): Shape: (rank, nI)
    RETURNS (Tensor): Shape: (product of the leading dimensions, rank)
    """
    flat = states.flatten(0, -2)
    if flat.dtype == torch.float32 and flat.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
        return (down @ flat.T).T
    return flat @ down.T
