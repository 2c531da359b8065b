"""Engines run a frozen backbone in prediction instead of torch, with the adapter as an input.

In: a backbone and the name of an engine. Out: an `Engine`, whose graphs are compiled once per form and process and
serve every task over that backbone. A new graph is compared with torch on rows of its first batch, and kept for later
processes on such a processor, which then need no model of the backbone. What an engine cannot do is left to torch, with
a warning.
"""

from __future__ import annotations

import os
import threading
import warnings
import weakref
from pathlib import Path
from typing import Any

import torch

from ..backbones.backbone import Backbone
from ..backbones.makers import LOADING_CODE, makers
from ..errors import Warnings
from ..kernels.processor import describe
from ..options import EngineName
from .graph_cache import forget_graph, has_graph, keep_graph, recall_graph
from .graph_inputs import GraphForm, GraphInputs
from .openvino_graph import CompiledGraph, convert_graph, has_openvino

# The largest relative error of hidden states. Beyond it a graph is wrong, not just imprecise.
TOLERANCES = {"float32": 1e-4, "float16": 1e-4, "bfloat16": 0.05, "int8": 0.25}

OWN_CODE = (Path(__file__).parent, *LOADING_CODE)  # graphs are traced from it

WORTH_CONVERTING = 5_000_000  # parameters; with a smaller backbone a conversion takes longer than it saves
# Pieces, padding included, that "auto" reads in torch before it converts, so that short programs do without. A
# conversion took 20 s of processor time with MiniLM. A choice, not a measured optimum.
READ_BEFORE = 1 << 16

MOST_FOLDED = 8  # graphs with LoRA in their weights, one per task, that an engine keeps in memory

_engines: weakref.WeakKeyDictionary[Backbone, dict[EngineName, Engine]] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def get_engine(backbone: Backbone, name: EngineName) -> Engine | None:
    """Return the one engine of that name for a backbone, None for torch.

    "auto" is OpenVINO if it is installed and the backbone is on the CPU and not tiny, else torch.
    """
    if name == "auto":
        is_worth_it = backbone.n_parameters >= WORTH_CONVERTING and find_obstacle(backbone) is None
        name = "openvino" if is_worth_it else "torch"
    if name == "torch":
        return None
    with _lock:
        engines = _engines.setdefault(backbone, {})
        if name not in engines:
            engines[name] = Engine(name)
        return engines[name]


def find_obstacle(backbone: Backbone) -> str | None:
    """Return why OpenVINO cannot run a backbone in this process, None if it can."""
    if not has_openvino():
        return 'the package openvino is not installed; `pip install "spacy-ptv2[openvino]"` installs it'
    if backbone.device.type != "cpu":
        return f"the backbone is on {backbone.device}, and OpenVINO runs on the CPU"
    if backbone.source.quantization is not None:
        return f"the backbone is quantized ({backbone.source.quantization!r}), which a graph cannot express"
    if Engine.started_in not in (None, os.getpid()):
        return (
            "this process was forked from one that had used it, and its threads do not survive a fork; call nlp.pipe "
            'with n_process first, or call multiprocessing.set_start_method("spawn")'
        )
    return None


class Engine:
    """Runs a backbone in prediction. Thread-safe: threads take turns, and each pass has all cores.

    name (EngineName): "openvino" computes in the precision of the backbone's weights, "openvino-int8" multiplies with
        8-bit weights.
    """

    started_in: int | None = None  # the process where the first engine started its threads, which no fork inherits

    def __init__(self, name: EngineName) -> None:
        self._name = name
        self._graphs: dict[GraphForm, CompiledGraph | None] = {}
        self._n_read = 0  # pieces that were left to torch because no graph is there yet
        self._lock = threading.Lock()
        self._has_warned = False

    def run(
        self, backbone: Backbone, inputs: GraphInputs, form: GraphForm, *, patient: bool = False
    ) -> tuple[torch.Tensor, ...] | None:
        """Return what a graph of this form returns; None to leave it to torch.

        patient (bool): Convert only after `READ_BEFORE` pieces. Only in float32, where torch and engines agree: in
            other precisions predictions would change on the way.
        RETURNS (tuple[Tensor, ...] | None): In float32. Shape of each: (rows, pieces, hidden_width)
        """
        obstacle = find_obstacle(backbone)
        if obstacle is not None:
            self._warn(obstacle)
            return None
        with self._lock:
            if form not in self._graphs:
                if patient and self._chosen(backbone) == "float32" and not self._is_due(backbone, form, inputs):
                    return None
                self._graphs[form] = self._build(backbone, form, inputs.sample())
            graph = self._take(form)
            states = None if graph is None else graph(inputs.flat(backbone))
            if states is not None and not torch.isfinite(states[-1].sum(dim=-1)[inputs.mask.bool()]).all():
                # Only rows of the first batch were compared with torch.
                self._warn("it returned hidden states that are not numbers")
                self._graphs[form] = states = None
            return states

    def _take(self, form: GraphForm) -> CompiledGraph | None:
        """Return a graph that is there, the last to go. Of those of one task each, only so many stay in memory."""
        graph = self._graphs[form] = self._graphs.pop(form)
        of_one_task = [own for own in self._graphs if own.folded]
        for own in of_one_task[:-MOST_FOLDED]:
            del self._graphs[own]
        return graph

    def precision(self, backbone: Backbone) -> str:
        """Return the precision it multiplies in, and the engine unless that is "float32", where all engines agree."""
        has_failed = bool(self._graphs) and not any(self._graphs.values())
        if has_failed or find_obstacle(backbone) is not None:
            return backbone.precision
        chosen = self._chosen(backbone)
        return chosen if chosen == "float32" else f"{chosen} in OpenVINO"

    def has_graph(self, backbone: Backbone, form: GraphForm) -> bool:
        """Return whether a graph that an earlier process made can run a backbone, without its model."""
        return find_obstacle(backbone) is None and has_graph(self._key(backbone, form))

    def _is_due(self, backbone: Backbone, form: GraphForm, inputs: GraphInputs) -> bool:
        """Return whether to have a graph: one is there, or what was left to torch would have paid for it."""
        if has_graph(self._key(backbone, form)):
            return True
        self._n_read += inputs.mask.numel()
        return self._n_read > READ_BEFORE

    def _key(self, backbone: Backbone, form: GraphForm) -> str:
        made_of = (backbone.fingerprint, backbone.precision, backbone.source.attention)
        others = makers(OWN_CODE, ("torch", "transformers", "openvino"))
        return repr((self._name, *made_of, form, others, describe()))

    def _chosen(self, backbone: Backbone) -> str:
        return "int8" if self._name == "openvino-int8" else backbone.precision

    def _build(self, backbone: Backbone, form: GraphForm, inputs: GraphInputs) -> CompiledGraph | None:
        """Compile a graph, a new one if none was kept. Return None if it fails."""
        Engine.started_in = os.getpid()
        try:
            key = self._key(backbone, form)
            kept = recall_graph(key)
            return self._make(backbone, form, inputs, key) if kept is None else self._compile(backbone, kept)
        except Exception as problem:  # two compilers may raise anything
            reason = " ".join(f"{type(problem).__name__}: {problem}".split())[:500]
        forget_graph(key)
        self._warn(reason)
        return None

    def _make(self, backbone: Backbone, form: GraphForm, inputs: GraphInputs, key: str) -> CompiledGraph | None:
        """Convert a graph, and keep it if it does on these inputs what torch does. Return None if it does not."""
        from .graph import AdapterGraph, export_graph, largest_error

        most = TOLERANCES[self._chosen(backbone)]
        module = AdapterGraph(backbone, form, inputs.folded)
        with torch.no_grad():
            expected = module(*inputs.flat(backbone))
        if self._name == "openvino-int8":
            module.quantize()
        converted = convert_graph(export_graph(module, backbone))
        graph = self._compile(backbone, converted)
        error = largest_error(graph(inputs.flat(backbone)), expected, inputs.mask)
        if not error <= most:
            self._warn(f"its hidden states are off by {error:.2g} of their size, expected at most {most}")
            return None
        keep_graph(key, converted)
        backbone.keep_sizes()
        return graph

    def _compile(self, backbone: Backbone, graph: Any) -> CompiledGraph:
        return CompiledGraph(graph, width=backbone.hidden_width, in_bfloat16=backbone.precision == "bfloat16")

    def _warn(self, reason: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(Warnings.PW07.format(name=self._name, reason=reason), stacklevel=2)
