"""Converts the weights of a backbone to float16, which halves the size of a bundle.

In: a folder with a backbone. Out: its safetensors files rewritten in place, every floating-point tensor in float16. The
result is another backbone, with another fingerprint and slightly different hidden states.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ..errors import BackboneError, Errors


def convert_to_float16(folder: Path) -> None:
    """Rewrite the weights in a folder.

    RAISES (BackboneError): P116 if a number is too large for float16.
    """
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata()
        tensors = {name: _halved(name, tensor, file) for name, tensor in load_file(file).items()}
        save_file(tensors, file, metadata=metadata)


def _halved(name: str, tensor: torch.Tensor, file: Path) -> torch.Tensor:
    if not tensor.is_floating_point():
        return tensor
    half = tensor.to(torch.float16)
    if not torch.equal(half.isfinite(), tensor.isfinite()):
        raise BackboneError(Errors.P116.format(path=file, name=name))
    return half
