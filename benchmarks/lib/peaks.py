"""The peak of a machine: plain matrix products of the sizes that a backbone has, in an engine and a precision.

A product is too short to be timed alone, and OpenVINO converts what goes into a graph and out of it. So chains of
products are timed, there and back between the two widths of a linear layer, without anything between them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import nn
from torch.export import Dim

from spacy_ptv2.backbones.backbone import Backbone
from spacy_ptv2.engines.graph import Int8Linear
from spacy_ptv2.engines.openvino_graph import CompiledGraph, convert_graph
from spacy_ptv2.options import EngineName

ROWS = (512, 2048)  # as many pieces as short and long batches have
PRODUCTS = 8  # in a chain

Chain = Callable[[torch.Tensor], object]


def shapes_of(backbone: Backbone) -> list[tuple[int, int]]:
    """Return the sizes of the linear layers of a backbone, each once, the narrower side first."""
    return sorted({cast(tuple[int, int], tuple(sorted(pair))) for layer in backbone.linear_widths for pair in layer})


def build_chains(
    shapes: Sequence[tuple[int, int]], engine: EngineName, dtype: torch.dtype
) -> Mapping[tuple[int, int], Chain]:
    """Return a chain of products for each shape. engine (EngineName): "auto" is not one here."""
    return {
        shape: _in_torch(shape, dtype) if engine == "torch" else _in_openvino(shape, engine, dtype) for shape in shapes
    }


def measure_peak(chains: Mapping[tuple[int, int], Chain], repeats: int = 2) -> float:
    """Return the most operations per second of processor time that any shape reaches, at any number of rows."""
    fastest = 0.0
    for (narrow, wide), chain in chains.items():
        for rows in ROWS:
            states = torch.randn(1, rows, narrow)
            for _ in range(repeats):
                start = time.process_time()
                chain(states)
                spent = time.process_time() - start
                fastest = max(fastest, chain_operations(rows, narrow, wide) / spent)
    return fastest


def chain_operations(rows: int, narrow: int, wide: int) -> int:
    """Return the operations of a chain."""
    return PRODUCTS * 2 * rows * narrow * wide


def _layers(shape: tuple[int, int]) -> list[nn.Linear]:
    narrow, wide = shape
    pairs = ((narrow, wide) if number % 2 == 0 else (wide, narrow) for number in range(PRODUCTS))
    layers = [nn.Linear(reads, gives, bias=False).requires_grad_(False) for reads, gives in pairs]
    for layer in layers:  # so that numbers keep their size
        nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
    return layers


def _in_torch(shape: tuple[int, int], dtype: torch.dtype) -> Chain:
    chain = nn.Sequential(*_layers(shape)).to(dtype)

    @torch.inference_mode()
    def run(states: torch.Tensor) -> object:
        return chain(states.to(dtype))

    return run


def _in_openvino(shape: tuple[int, int], engine: EngineName, dtype: torch.dtype) -> Chain:
    layers = [Int8Linear(layer) if engine == "openvino-int8" else layer for layer in _layers(shape)]
    dynamic: Any = {1: Dim.DYNAMIC}
    with torch.no_grad():
        program = torch.export.export(
            nn.Sequential(*layers), (torch.zeros(1, 5, shape[0]),), dynamic_shapes=(dynamic,), strict=False
        )
    graph = CompiledGraph(convert_graph(program), width=shape[0], in_bfloat16=dtype == torch.bfloat16)
    return lambda states: graph([states])
