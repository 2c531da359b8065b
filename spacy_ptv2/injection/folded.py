"""The LoRA of a task as it was at one moment, which weights have in them. Light: no transformers."""

from __future__ import annotations

import hashlib
from functools import cached_property

import torch

from .context import LayerLoRA


class FoldedLoRA:
    """LoRA that is folded into weights; see `folding.py`. given (LayerLoRA): It, which is copied."""

    def __init__(self, given: LayerLoRA) -> None:
        self.loras: LayerLoRA = {layer: lora.detach().clone() for layer, lora in given.items()}

    def is_of(self, given: LayerLoRA) -> bool:
        """Return whether LoRA still is what it was. Numbers are compared, as an optimizer may write into tensors."""
        if self.loras.keys() != given.keys():
            return False
        pairs = [(own, given[layer]) for layer, own in self.loras.items()]
        return all(own.device == other.device and torch.equal(own, other) for own, other in pairs)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all of its numbers and their layers."""
        digest = hashlib.sha256()
        for layer, lora in sorted(self.loras.items()):
            digest.update(f"{layer} {tuple(lora.shape)} {lora.dtype};".encode())
            digest.update(lora.cpu().contiguous().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()
