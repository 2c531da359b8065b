"""Which attention kernel a training step uses.

On CPUs torch picks its fused kernel. In bfloat16 a step with it takes 1.5 to 4 times as long as with plain matrix
products that are summed in bfloat16, most on short rows (benchmarks/attention_kernels.py); in float32, and in
prediction, the fused one is the faster and stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.backends import cuda as kernel_flags  # named after CUDA, but the flags hold for CPUs as well
from torch.nn.attention import SDPBackend, sdpa_kernel


@contextmanager
def training_attention(device: torch.device, *, bfloat16: bool) -> Iterator[None]:
    """Choose the fastest kernel for a training step on a device, for the calls inside."""
    if device.type != "cpu" or not bfloat16:
        yield
        return
    reduced = kernel_flags.fp16_bf16_reduction_math_sdp_allowed()
    kernel_flags.allow_fp16_bf16_reduction_math_sdp(True)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        kernel_flags.allow_fp16_bf16_reduction_math_sdp(reduced)
