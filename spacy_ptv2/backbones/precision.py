"""In which precision a backbone computes: what the config says, or what the hardware is fast in."""

from __future__ import annotations

from typing import Any, Literal

import torch

Precision = Literal["auto", "float32", "bfloat16", "float16"]


def resolve_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """Return the type of a backbone's weights on a device; "auto" is bfloat16 where the hardware multiplies it."""
    if precision == "auto":
        return torch.bfloat16 if has_bfloat16(device) else torch.float32
    dtype: torch.dtype = getattr(torch, precision)
    return dtype


def has_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies bfloat16 matrices in hardware; older GPUs only emulate it, slowly."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    # Since torch 2.8; older ones do not say.
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))
