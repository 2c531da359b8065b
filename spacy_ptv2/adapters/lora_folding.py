"""Keeps what an encoder has folded its LoRA into, for as long as that LoRA is the same."""

from __future__ import annotations

from typing import Any

from ..backbones.backbone import Backbone
from ..injection.context import LayerLinears, LayerLoRA
from ..injection.folded import FoldedLoRA


class LoRAFolding:
    """The LoRA that an encoder predicts with, folded; made anew when its numbers have changed. Thread-safe."""

    def __init__(self) -> None:
        self._folded: FoldedLoRA | None = None
        self._made: tuple[FoldedLoRA, Backbone, LayerLinears] | None = None

    def of(self, loras: LayerLoRA) -> FoldedLoRA:
        """Return what stands for LoRA as it is now, the same object while it stays the same."""
        folded = self._folded
        if folded is None or not folded.is_of(loras):
            folded = self._folded = FoldedLoRA(loras)
        return folded

    def linears(self, folded: FoldedLoRA, backbone: Backbone) -> LayerLinears:
        """Return linear layers for torch: one more copy of the backbone's linear weights."""
        from ..injection.folding import fold

        made = self._made
        if made is None or made[0] is not folded or made[1] is not backbone:
            made = self._made = (folded, backbone, fold(folded.loras, backbone.linear_layers))
        return made[2]

    def release(self) -> None:
        """Give up the copy of the weights, which an engine does without."""
        self._made = None

    def __deepcopy__(self, memo: dict[int, Any]) -> LoRAFolding:
        """Return one that has folded nothing: a copied pipeline folds for itself."""
        return LoRAFolding()
