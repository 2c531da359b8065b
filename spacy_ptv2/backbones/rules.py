"""The seam between model families and everything else: one injection rule per family.

A rule knows where a family keeps its attention projections and how it counts positions; nothing outside this folder
asks which family a backbone is of. A new family is one module with a rule and one line in `RULES`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import nn

from .injection import AttentionSite


class InjectionRule(ABC):
    """How prompts get into the attention of one family of models."""

    model_types: ClassVar[tuple[str, ...]]

    @abstractmethod
    def sites(self, model: nn.Module) -> list[AttentionSite]:
        """Return the attention blocks of a model in the order of its layers."""

    @abstractmethod
    def first_position(self, config: Any) -> int:
        """Return the position id of the first piece of a sequence."""

    def refusal(self, config: Any) -> str | None:
        """Return why a model of this family cannot take a prompt, or None if it can."""
        return None

    def shifted_positions(self, config: Any, length: int, shift: int, device: torch.device) -> torch.Tensor:
        """Return the position ids, Shape: (1, length), of a sequence that stands behind `shift` prompt positions."""
        start = self.first_position(config) + shift
        return torch.arange(start, start + length, device=device).unsqueeze(0)
