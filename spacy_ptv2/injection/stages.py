"""A pass in two stages: the layers that all adapters share run once, the others for every row of every adapter.

The first stage skips the layers from `first` on. The second does not compute the layers below it: they return their
outputs from the first stage, and each row gets those of the row that it continues. The model itself runs from end to
end both times, so masks, positions and whatever else a family passes to its layers are made for the rows at hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass
class Stage:
    """One of the two stages.

    first (int): The first layer that differs between adapters, at least 1.
    outputs (list[Any]): What each layer below it returned.
    rows (Tensor | None): The row of the first stage that each row continues; None in the first stage. Shape: (rows,)
    """

    first: int
    outputs: list[Any] = field(default_factory=list)
    rows: torch.Tensor | None = None

    def continued(self, rows: torch.Tensor) -> Stage:
        """Return the second stage that follows this first one."""
        return Stage(self.first, self.outputs, rows)

    def passes_over(self, layer: int) -> bool:
        """Return whether to skip a layer."""
        return layer >= self.first if self.rows is None else layer < self.first

    def answer(self, layer: int) -> Any:
        """Return the output of a layer that is skipped."""
        return self.outputs[-1] if self.rows is None else self._spread(self.outputs[layer])

    def note(self, output: Any) -> None:
        """Keep the output of a layer if this is the first stage."""
        if self.rows is None:
            self.outputs.append(output)

    def states(self) -> torch.Tensor | None:
        """Return the hidden states from the layers below `first`. Shape: (first, rows, pieces, hidden_width)

        None if layers return other tensors in addition to hidden states, such as T5's position bias.
        """
        beside = [part for output in self.outputs if isinstance(output, tuple) for part in output[1:]]
        if any(isinstance(part, torch.Tensor) for part in beside):
            return None
        return torch.stack([output if isinstance(output, torch.Tensor) else output[0] for output in self.outputs])

    def with_states(self, states: Iterable[torch.Tensor]) -> Stage:
        """Return a first stage with other hidden states, one tensor per layer, in the same form as in this one."""
        pairs = zip(self.outputs, states, strict=True)
        return Stage(
            self.first, [own if isinstance(old, torch.Tensor) else type(old)((own, *old[1:])) for old, own in pairs]
        )

    def _spread(self, output: Any) -> Any:
        """Return a layer's output for the rows of the second stage: its hidden states, and all else that has rows."""
        if isinstance(output, torch.Tensor):
            return output.index_select(0, self.rows)  # type: ignore[arg-type]  # only called in the second stage
        n_rows = len(output[0])
        return type(output)(
            self._spread(part) if isinstance(part, torch.Tensor) and part.shape[:1] == (n_rows,) else part
            for part in output
        )
