"""Adds outputs to a trained linear layer; its old rows stay as they are."""

from __future__ import annotations

from typing import Any, cast

from thinc.api import Linear, Model
from thinc.types import Floats1d, Floats2d


def grow_output(model: Model[Any, Any], layer: Model[Floats2d, Floats2d], n_outputs: int) -> Model[Floats2d, Floats2d]:
    """Replace a trained `Linear` by a wider layer, and update the sizes of all nodes around it.

    The new outputs have zero weights and the smallest bias of the old ones, so that the model's predictions hardly
    change until they are trained. For an optimizer the layer is new: its moments and averages start again.

    model (Model): The model that contains it, whose references are updated.
    layer (Model): The trained `Linear`.
    n_outputs (int): More than the layer has.
    RETURNS (Model): The new layer. Shape of its W: (n_outputs, nI)
    """
    n_before = layer.get_dim("nO")
    weights = layer.ops.alloc2f(n_outputs, layer.get_dim("nI"))
    bias = layer.ops.alloc1f(n_outputs)
    before = cast(Floats1d, layer.get_param("b"))
    weights[:n_before] = cast(Floats2d, layer.get_param("W"))
    bias[:n_before] = before
    bias[n_before:] = before.min()
    wider: Model[Floats2d, Floats2d] = Linear(nO=n_outputs, nI=layer.get_dim("nI"))
    wider.ops = layer.ops
    wider.set_param("W", weights)
    wider.set_param("b", bias)
    around = [node for node in model.walk() if node is not layer and layer in node.walk()]
    model.replace_node(layer, wider)
    for node in around:
        if node.maybe_get_dim("nO") is not None:
            node.set_dim("nO", n_outputs, force=True)
    return wider
