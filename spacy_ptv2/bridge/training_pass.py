"""One backbone pass for the adapters of one or several layers, forward and backward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from thinc.api import torch2xp, xp2torch
from thinc.types import Floats2d

from ..adapters.batches import WindowBatches
from ..adapters.encoder import AdaptedEncoder
from ..adapters.joint_pass import read_jointly
from ..kernels.heap import give_back

if TYPE_CHECKING:
    from .adapter_shim import AdapterShim


def predict_jointly(encoders: Sequence[AdaptedEncoder], windows: WindowBatches) -> list[Floats2d]:
    """Return the hidden states that each encoder wants. Shape of each: (n_wanted, hidden_width)"""
    for encoder in encoders:
        encoder.eval()
    with torch.inference_mode():
        read = [cast(Floats2d, torch2xp(states)) for states in read_jointly(encoders, windows)]
    give_back()
    return read


class TrainingPass:
    """The forward pass of a training step, and its single backward pass.

    states (list[Floats2d]): The hidden states that each shim's encoder wants. Shape of each: (n_wanted, hidden_width)
    is_over (bool): Whether the backward pass has run.
    """

    def __init__(self, shims: Sequence[AdapterShim], windows: WindowBatches) -> None:
        for shim in shims:
            shim.begin_pass(self)
            shim.encoder.train()
        self.is_over = False
        self._shims = shims
        self._outputs = read_jointly([shim.encoder for shim in shims], windows)
        self._gradients: dict[int, torch.Tensor] = {}
        self.states = [cast(Floats2d, torch2xp(states.detach())) for states in self._outputs]

    def backprop(self, number: int, d_states: Floats2d) -> None:
        """Take the gradient of one shim's hidden states. The last one to come starts the backward pass."""
        self._gradients[number] = xp2torch(d_states, device=self._outputs[number].device)
        if len(self._gradients) == len(self._outputs):
            self.finish()

    def finish(self) -> None:
        """Run the backward pass with the gradients that have come, if there are any and it has not run yet."""
        delivered, self._gradients = self._gradients, {}
        if not delivered:
            return
        outputs, self._outputs = self._outputs, []
        self.is_over = True
        torch.autograd.backward([outputs[number] for number in delivered], list(delivered.values()))
        for shim in self._shims:
            shim.hand_over()
