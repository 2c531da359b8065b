"""The layer that runs the frozen backbone with its adapter: padded windows in, hidden states out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from thinc.api import Model
from thinc.types import Floats2d

from ..adapters.batches import WindowBatches
from ..bridge.adapter_shim import AdapterShim


def EncodePieces(shim: AdapterShim) -> Model[WindowBatches, Floats2d]:
    """Build the layer around a shim.

    X (WindowBatches): Padded windows, and which of their pieces are wanted.
    Y (Floats2d): The hidden states of those pieces, in the order requested. Shape: (n_wanted, nO)
    """
    return Model("encode_pieces", forward, init=init, shims=[shim], dims={"nO": None})


def get_shim(model: Model[Any, Any]) -> AdapterShim:
    """Return the shim of an `EncodePieces` layer."""
    return cast(AdapterShim, model.shims[0])


def forward(
    model: Model[WindowBatches, Floats2d], X: WindowBatches, is_train: bool
) -> tuple[Floats2d, Callable[[Floats2d], WindowBatches]]:
    """See `EncodePieces`."""
    shim = get_shim(model)
    if not is_train:
        return shim.predict(X), lambda dY: X
    states, backprop_states = shim.begin_update(X)

    def backprop(dY: Floats2d) -> WindowBatches:
        backprop_states(dY)
        return X

    return states, backprop


def init(model: Model[WindowBatches, Floats2d], X: WindowBatches | None = None, Y: Floats2d | None = None) -> None:
    """Load the backbone. It alone decides nO, so no data is needed."""
    shim = get_shim(model)
    shim.initialize()
    model.set_dim("nO", shim.backbone.hidden_width)
