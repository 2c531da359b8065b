"""The weights of a backbone as float16, for a bundle of half the size.

In: a folder with a backbone. Out: its safetensors in place, every floating tensor in float16. That is another backbone,
with another fingerprint and slightly other states.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ..errors import BackboneError, Errors


def convert_to_float16(folder: Path) -> None:
    """Rewrite the weights of a folder.

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
