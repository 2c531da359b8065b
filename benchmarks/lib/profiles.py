"""Where the time of annotation and of training steps goes, by parts, from torch's profiler.

In: work to run. Out: the seconds of each part. Ranges around functions of the package name a part; a torch operation
outside of them counts by its name, a matrix product with the rank of LoRA among its sizes to LoRA. What no operation
takes inside a range is Python. OpenVINO reports the time of its nodes itself (PERF_COUNT). A profiler slows down what
consists of many short operations, and its clock goes on while another process has the core: read shares, not seconds.
Source: https://docs.pytorch.org/docs/stable/profiler.html.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any
from unittest.mock import patch

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from spacy_ptv2.adapters import encoder, joint_pass, scalar_mix
from spacy_ptv2.alignment import pieces
from spacy_ptv2.backbones.backbone import Backbone
from spacy_ptv2.bridge.window_encoding import WindowEncoding
from spacy_ptv2.engines.openvino_graph import CompiledGraph, has_openvino, load_core
from spacy_ptv2.injection import attention, context
from spacy_ptv2.pipeline.token_classifier import TokenClassifier
from spacy_ptv2.training.trainer import Trainer

from .operations import ReadPieces

PRODUCTS, LORA, ATTENTION, NORMS, GELU = "matrix products", "LoRA", "attention", "norms", "GELU"
MOVES, DROPOUT, PROMPTS, SHAPES, MIX = "sums and copies", "dropout", "prompts", "word shape", "scalar mix"
EMBEDDINGS, TOKENIZER, ALIGNMENT = "embeddings", "tokenizer", "alignment and batches"
HEAD, WRITING, OPTIMIZER = "head and decoding", "writing to Docs", "optimizer"
ENGINE, PYTHON = "OpenVINO around its nodes", "Python between"
PARTS = (
    *(PRODUCTS, LORA, ATTENTION, NORMS, GELU, MOVES, DROPOUT, PROMPTS, SHAPES, MIX),
    *(EMBEDDINGS, TOKENIZER, ALIGNMENT, HEAD, WRITING, OPTIMIZER, ENGINE, PYTHON),
)
RANGES: Sequence[tuple[Any, str, str]] = (
    (pieces, "tokenize", TOKENIZER),
    (WindowEncoding, "encode", ALIGNMENT),
    (WindowEncoding, "batch", ALIGNMENT),
    (Backbone, "embed", EMBEDDINGS),
    (Backbone, "with_types", EMBEDDINGS),
    (encoder.AdaptedEncoder, "_draw", PROMPTS),
    (attention, "prepend", PROMPTS),
    (encoder.AdaptedEncoder, "added", SHAPES),
    (scalar_mix.ScalarMix, "forward", MIX),
    (context, "_add", LORA),
    (context.RowGroup, "drop", DROPOUT),
    (TokenClassifier, "predict", HEAD),
    (TokenClassifier, "_gold", HEAD),
    (TokenClassifier, "_loss_of", HEAD),
    (TokenClassifier, "set_annotations", WRITING),
    (Trainer, "step", OPTIMIZER),
    (CompiledGraph, "__call__", ENGINE),
)
# By what the name of an operation of torch, or the type of a node of OpenVINO, contains; the first that fits.
TORCH_OPERATIONS = {
    "bmm": ATTENTION,
    "addmm": PRODUCTS,
    "::mm": PRODUCTS,
    "_linear_pointwise": PRODUCTS,
    "attention": ATTENTION,
    "softmax": ATTENTION,
    "layer_norm": NORMS,
    "gelu": GELU,
    "dropout": DROPOUT,
    "random_": DROPOUT,
    "aten::": MOVES,
}
OPENVINO_NODES = {
    "FullyConnected": PRODUCTS,
    "LoRA": LORA,
    "MatMul": LORA,  # weights that are inputs; attention is one node, "Subgraph" or "ScaledDotProductAttention"
    "Subgraph": ATTENTION,
    "ScaledDotProductAttention": ATTENTION,
    "Softmax": ATTENTION,
    "MVN": NORMS,
    "MulAdd": NORMS,
    "Gelu": GELU,
    "": MOVES,
}
PREFIX = "part: "


class NodeTimes:
    """The time that the nodes of OpenVINO's graphs took, of those that were compiled inside `timing_nodes`."""

    def __init__(self) -> None:
        self._calls: Counter[CompiledGraph] = Counter()

    def note(self, graph: CompiledGraph) -> None:
        """Note that a graph ran once more."""
        self._calls[graph] += 1

    def seconds(self) -> Counter[str]:
        """Return the seconds of each part so far. OpenVINO tells the mean of all runs of a node."""
        spent: Counter[str] = Counter()
        for graph, calls in self._calls.items():
            for node in graph._request.profiling_info:
                spent[_first_match(OPENVINO_NODES, node.node_type) or MOVES] += node.real_time.total_seconds() * calls
        return spent


@contextmanager
def timing_nodes() -> Iterator[NodeTimes]:
    """Let OpenVINO time the nodes of graphs that it compiles inside this context."""
    times, original = NodeTimes(), CompiledGraph.__call__

    def call(graph: CompiledGraph, tensors: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        states = original(graph, tensors)
        times.note(graph)
        return states

    if has_openvino():
        load_core().set_property("CPU", {"PERF_COUNT": True})
    with patch.object(CompiledGraph, "__call__", call):
        yield times
    if has_openvino():
        load_core().set_property("CPU", {"PERF_COUNT": False})


def seconds_by_part(run: Callable[[], object], rank: int, nodes: NodeTimes) -> dict[str, float]:
    """Return the seconds of each part of a run. rank (int): Of its LoRA."""
    before = nodes.seconds()
    profiler = profile(activities=[ProfilerActivity.CPU], record_shapes=True)
    with _in_ranges(), profiler, record_function(PREFIX + PYTHON):
        run()
    spent, in_graphs = add_up(profiler.events(), rank), nodes.seconds()
    in_graphs.subtract(before)
    spent[ENGINE] -= sum(in_graphs.values())  # which the profiler does not see
    spent.update(in_graphs)
    return {part: spent[part] for part in PARTS}


def add_up(events: Any, rank: int) -> Counter[str]:
    """Return the seconds of each part in a profiler's events (FunctionEvent)."""
    spent: Counter[str] = Counter()
    for event in events:
        part = part_of(event, rank)
        if part is not None:
            spent[part] += event.self_cpu_time_total / 1e6
    return spent


def part_of(event: Any, rank: int) -> str | None:
    """Return which part an event belongs to, None if it is outside the run."""
    above = event
    while above is not None and not above.name.startswith(PREFIX):
        above = above.cpu_parent
    if above is None or above.name != PREFIX + PYTHON:
        return None if above is None else str(above.name.removeprefix(PREFIX))
    part = _first_match(TORCH_OPERATIONS, event.name)
    is_narrow = any(rank in shape for shape in event.input_shapes or () if shape)
    return LORA if part == PRODUCTS and rank and is_narrow else part or PYTHON


@contextmanager
def noting_pieces(read: ReadPieces) -> Iterator[None]:
    """Note what backbones read inside this context."""
    original = joint_pass.read_batches

    def read_batches(encoders: Any, batches: Any) -> Any:
        for batch in batches:
            read.lengths.extend(batch.mask.sum(dim=1).tolist())
            read.n_padded += batch.mask.numel()
        return original(encoders, batches)

    with patch.object(joint_pass, "read_batches", read_batches):
        yield


@contextmanager
def _in_ranges() -> Iterator[None]:
    with ExitStack() as stack:
        for place, name, part in RANGES:
            stack.enter_context(patch.object(place, name, _in_range(getattr(place, name), PREFIX + part)))
        yield


def _in_range(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with record_function(name):
            return function(*args, **kwargs)

    return run


def _first_match(parts: Mapping[str, str], name: str) -> str | None:
    return next((part for key, part in parts.items() if key in name), None)
