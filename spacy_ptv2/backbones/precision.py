"""The precision that a backbone computes in: what the config says, or what the hardware is fast in."""

from __future__ import annotations

from typing import Any

import torch

from ..kernels.processor import INTEL, is_made_by
from ..options import Precision


def resolve_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """Return the dtype of a backbone's weights on a device; "auto" is bfloat16 where the hardware is faster in it."""
    if precision == "auto":
        return torch.bfloat16 if is_fast_in_bfloat16(device) else torch.float32
    dtype: torch.dtype = getattr(torch, precision)
    return dtype


def is_fast_in_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies matrices faster in bfloat16 than in float32.

    GPUs before Ampere only emulate bfloat16. On Intel CPUs with AVX512-BF16 but without AMX it takes nearly twice as
    long as float32 (benchmarks/speed/linear_kernels.py); on AMD CPUs it is faster. Without oneDNN torch is slow in
    bfloat16 on any CPU.
    """
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    # torch has this since version 2.8. "bf16" is the capability of Arm CPUs.
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    if capabilities.get("amx_bf16") or capabilities.get("bf16"):
        return True
    return bool(capabilities.get("avx512_bf16")) and not is_made_by(INTEL)
