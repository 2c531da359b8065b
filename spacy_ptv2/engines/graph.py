"""A frozen backbone as one graph with the adapter among its inputs, built once for all tasks.

In: a backbone and the form that a task needs. Out: a module that takes plain tensors, without context variables around
it, and its `torch.export`. The weights are a copy in float32; engines choose their own precision.
Source: https://docs.pytorch.org/docs/stable/export.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any, cast

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from ..backbones.backbone import Backbone
from ..backbones.model_config import call_model
from ..injection.context import RowGroup, injected
from ..injection.folded import FoldedLoRA
from ..injection.folding import fold
from ..injection.hooks import open_for_injection
from ..injection.lora import open_linear_layers
from ..injection.twins import make_copy
from .graph_inputs import GraphForm, GraphInputs

INT8_STEPS = 127


class AdapterGraph(nn.Module):
    """A copy of a backbone that takes everything it reads as arguments.

    folded (FoldedLoRA | None): LoRA that becomes part of its weights.
    """

    def __init__(self, backbone: Backbone, form: GraphForm, folded: FoldedLoRA | None = None) -> None:
        super().__init__()
        self.form = form
        self.rule = backbone.rule
        self.n_layers = backbone.n_layers
        self.model = make_copy(backbone.model).float().eval()
        open_for_injection(self.model, backbone.rule, backbone.source.attention)
        linears = {} if folded is None else fold(folded.loras, backbone.linear_layers_of(self.model))
        self.linears = nn.ModuleDict({str(layer): nn.ModuleList(own) for layer, own in linears.items()})

    def forward(self, embeddings: torch.Tensor, mask: torch.Tensor, *beside: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Take what `GraphInputs.flat` returns. RETURNS: Shape of each: (rows, pieces, hidden_width)"""
        form = self.form
        first, last = self.n_layers, self.n_layers + len(form.added)
        prompts = dict(enumerate(beside[:first]))
        added = dict(zip(form.added, beside[first:last], strict=True))
        loras = dict(enumerate(beside[last:]))
        inputs = {"inputs_embeds": embeddings}
        if form.shift is not None:
            inputs = self.rule.shifted_inputs(self.model, embeddings, form.shift)
        linears = {int(layer): list(cast(nn.ModuleList, own)) for layer, own in self.linears.items()}
        with injected(RowGroup(prompts, added=added, loras=loras, linears=linears), in_graph=True):
            output = call_model(self.model, **inputs, attention_mask=mask, all_states=form.all_states)
        return output.hidden_states if form.all_states else (output.last_hidden_state,)

    def quantize(self) -> None:
        """Store the weights of all linear layers in 8 bits."""
        for module in list(self.modules()):
            for name, child in list(module.named_children()):
                if type(child) is nn.Linear:
                    setattr(module, name, Int8Linear(child))
        for layer in self.rule.layers(self.model):
            open_linear_layers(self.rule.linear_layers(layer))


class Int8Linear(nn.Linear):
    """A linear layer with 8-bit weights, which engines that recognise the pattern multiply as such.

    Rounded to nearest, symmetric, one scale per output (Jacob et al. 2018, section 2, https://arxiv.org/abs/1712.05877).
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear.in_features, linear.out_features, bias=False, device="meta")
        weight = linear.weight.detach()
        del self.weight
        scale = weight.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(weight.dtype).tiny) / INT8_STEPS
        self.register_buffer("weight", (weight / scale).round().to(torch.int8))
        self.register_buffer("scale", scale)
        self.bias = linear.bias

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Shape: (..., nI) -> (..., nO)"""
        return nn.functional.linear(X, self.weight.to(X.dtype) * cast(torch.Tensor, self.scale), self.bias)


def export_graph(graph: AdapterGraph, backbone: Backbone) -> ExportedProgram:
    """Export the graph with torch, for any number of rows and pieces and for prompts of any length."""
    sizes = count(5)  # all different, so that torch takes no two dimensions for the same
    rows, pieces = next(sizes), next(sizes)
    embeddings = torch.zeros(rows, pieces, backbone.embedding_width)
    prompts = {layer: torch.zeros(2, next(sizes), backbone.key_width) for layer in range(backbone.n_layers)}
    layers = range(backbone.n_layers) if graph.form.loras else ()
    loras = {layer: torch.zeros(next(sizes), backbone.lora_width) for layer in layers}
    added = {layer: torch.zeros(rows, pieces, backbone.hidden_width) for layer in graph.form.added}
    mask = torch.ones(rows, pieces, dtype=torch.long)
    mask[0, -1] = 0
    example = GraphInputs(embeddings, mask, prompts, added, loras).flat(backbone)
    by_row: dict[int, Any] = {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}
    by_position: dict[int, Any] = {1: Dim.DYNAMIC}
    by_rank: dict[int, Any] = {0: Dim.DYNAMIC}
    beside = [*(by_position for _ in prompts), *(by_row for _ in added), *(by_rank for _ in loras)]
    with torch.no_grad():
        return torch.export.export(graph, tuple(example), dynamic_shapes=(by_row, by_row, tuple(beside)), strict=False)


def largest_error(states: Sequence[torch.Tensor], expected: Sequence[torch.Tensor], mask: torch.Tensor) -> float:
    """Return the relative error of the hidden states of pieces: the mean over pieces, in the worst layer."""
    pieces = mask.bool()
    pairs = zip(states, expected, strict=True)
    errors = [(own - other)[pieces].abs().mean() / other[pieces].abs().mean() for own, other in pairs]
    return float(torch.stack(errors).max())  # NaN if any is
