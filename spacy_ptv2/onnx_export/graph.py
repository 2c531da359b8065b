"""A backbone with an adapter and a head as one ONNX graph: piece ids in, scores of tags out.

In: an encoder, and the weights of a linear head. Out: a file. Everything that was trained is a constant in it, in
float32 or, quantised, in 8 bits.
Source: https://docs.pytorch.org/docs/stable/onnx_export.html.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim

from ..adapters.encoder import AdaptedEncoder
from ..engines.graph import AdapterGraph
from ..errors import Errors, PTuningError
from ..injection.folded import FoldedLoRA

PACKAGES = ("onnx", "onnxruntime", "onnxscript")
INPUTS, OUTPUT = ("pieces", "mask", "word_shapes"), "scores"


def check_packages() -> None:
    """RAISES (PTuningError): P870 if a package is missing that exporting needs."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise PTuningError(Errors.P870.format(missing=", ".join(missing)))


class TagGraph(nn.Module):
    """A copy of a backbone with its adapter, and a linear head on the vector of every piece.

    encoder (AdaptedEncoder): The adapter over its backbone.
    weight (Tensor), bias (Tensor): Of the head. Shape: (n_tags, hidden_width), (n_tags,)
    """

    def __init__(self, encoder: AdaptedEncoder, weight: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder)
        self.encoder.prompt = encoder.prompt.fold()
        # Of weights that layers share, folding would make one copy per layer.
        folded = None if encoder.backbone.layers_share_weights else FoldedLoRA(encoder.loras())
        if folded is not None:
            self.encoder.lora = None
        self.adapted = AdapterGraph(encoder.backbone, self.encoder.graph_form(folded), folded)
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.eval().requires_grad_(False)

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of its inputs, in order."""
        return INPUTS if self.encoder.word_shape is not None else INPUTS[:-1]

    def forward(
        self, pieces: torch.Tensor, mask: torch.Tensor, word_shapes: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the scores of tags.

        pieces, mask, word_shapes (Tensor): Integers, see `PieceBatch`. Shape of each: (rows, pieces)
        RETURNS (Tensor): Shape: (rows, pieces, n_tags)
        """
        embeddings = self.adapted.model.get_input_embeddings()(pieces)
        word_shapes = torch.zeros_like(mask) if word_shapes is None else word_shapes
        inputs = self.encoder.inputs_of(self.encoder.prompt(), embeddings, mask, word_shapes)
        states = self.adapted(*inputs.flat(self.encoder.backbone))
        return nn.functional.linear(self.encoder.mix(states), self.weight, self.bias)


def write_graph(graph: TagGraph, path: Path) -> None:
    """Write the graph, for any number of rows and pieces.

    RAISES (PTuningError): P872 if torch cannot export it.
    """
    names = graph.input_names
    # Sizes that differ, and tensors of their own, or torch would take some for the same.
    example = tuple(torch.ones(3, 5, dtype=torch.long) for _ in names)
    shapes: Any = ({0: Dim.DYNAMIC, 1: Dim.DYNAMIC},) * len(names)
    try:
        with torch.no_grad(), _quiet():
            program = torch.export.export(graph, example, dynamic_shapes=shapes, strict=False)
            exported: Any = torch.onnx.export(
                program, input_names=names, output_names=(OUTPUT,), dynamo=True, verbose=False
            )
            model = exported.model_proto
    except Exception as problem:  # the exporter may raise anything
        cause: BaseException = problem
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = " ".join(f"{type(cause).__name__}: {cause}".split())[:500]
        raise PTuningError(Errors.P872.format(problem=f"torch cannot export it ({reason})")) from problem
    _save(model, path)


def _save(model: Any, path: Path) -> None:
    """Save a model (onnx.ModelProto) without what the exporter noted of this machine: paths of code, and its stack."""
    import onnx

    graph = model.graph
    del graph.value_info[:]
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("doc_string")
        del part.metadata_props[:]
    for value in (*graph.input, *graph.output):
        for dimension, name in zip(value.type.tensor_type.shape.dim, ("rows", "pieces"), strict=False):
            dimension.dim_param = name
    onnx.save(model, path)


def write_int8(path: Path, target: Path) -> Path:
    """Write a graph with its weights in 8 bits. The inputs of matrix products are rounded while it runs.

    `reduce_range` leaves one of the bits unused. CPUs without VNNI add two products in 16 bits, which all 8 may exceed
    (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
    RETURNS (Path): The target.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _quiet():
        quantize_dynamic(path, target, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)
    return target


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what exporters log and warn of about themselves to themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
