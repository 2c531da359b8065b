"""Engines run a frozen backbone in prediction instead of torch, with the adapter as an input.

In: a backbone and the name of an engine. Out: an `Engine`, whose graphs are compiled once per form and process and
serve every task over that backbone. Each graph is compared with torch on rows of its first batch. What an engine cannot
do is left to torch, with a warning.
"""

from __future__ import annotations

import hashlib
import os
import threading
import warnings
import weakref
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

from ..backbones.backbone import Backbone
from ..errors import Warnings
from ..options import EngineName
from .graph import AdapterGraph, GraphForm, GraphInputs, export_graph, largest_error
from .graph_cache import forget_graph, recall_graph
from .openvino_graph import CompiledGraph, convert_graph, has_openvino

# The largest relative error of hidden states. Beyond it a graph is wrong, not just imprecise.
TOLERANCES = {"float32": 1e-4, "float16": 1e-4, "bfloat16": 0.05, "int8": 0.25}

HERE = Path(__file__).parent
# Graphs are traced from it; in a checkout it changes between versions.
OWN_CODE = (HERE, *(HERE.parent / room for room in ("adapters", "backbones", "injection", "kernels")))

WORTH_CONVERTING = 5_000_000  # parameters; with a smaller backbone a conversion takes longer than it saves

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
        self._lock = threading.Lock()
        self._has_warned = False

    def run(
        self, backbone: Backbone, inputs: GraphInputs, *, shift: int | None, all_states: bool
    ) -> tuple[torch.Tensor, ...] | None:
        """Return the last hidden states, with `all_states` those of all layers; None to leave them to torch.

        shift (int | None): See `GraphForm`.
        RETURNS (tuple[Tensor, ...] | None): In float32. Shape of each: (rows, pieces, hidden_width)
        """
        obstacle = find_obstacle(backbone)
        if obstacle is not None:
            self._warn(obstacle)
            return None
        form = inputs.form(shift=shift, all_states=all_states)
        with self._lock:
            if form not in self._graphs:
                self._graphs[form] = self._build(backbone, form, inputs.sample())
            graph = self._graphs[form]
            states = None if graph is None else graph(inputs.flat(backbone))
            if states is not None and not torch.isfinite(states[-1].sum(dim=-1)[inputs.mask.bool()]).all():
                # Only rows of the first batch were compared with torch.
                self._warn("it returned hidden states that are not numbers")
                self._graphs[form] = states = None
            return states

    def precision(self, backbone: Backbone) -> str:
        """Return the precision it multiplies in, and the engine unless that is "float32", where all engines agree."""
        has_failed = bool(self._graphs) and not any(self._graphs.values())
        if has_failed or find_obstacle(backbone) is not None:
            return backbone.precision
        chosen = self._chosen(backbone)
        return chosen if chosen == "float32" else f"{chosen} in OpenVINO"

    def _chosen(self, backbone: Backbone) -> str:
        return "int8" if self._name == "openvino-int8" else backbone.precision

    def _build(self, backbone: Backbone, form: GraphForm, inputs: GraphInputs) -> CompiledGraph | None:
        """Compile a graph and compare it with torch on these inputs. Return None if it fails."""
        most = TOLERANCES[self._chosen(backbone)]
        Engine.started_in = os.getpid()
        made_of = (backbone.fingerprint, backbone.precision, backbone.source.attention)
        key = repr((self._name, *made_of, form, _makers(OWN_CODE)))
        try:
            module = AdapterGraph(backbone, form)
            with torch.no_grad():
                expected = module(*inputs.flat(backbone))
            if self._name == "openvino-int8":
                module.quantize()
            converted = recall_graph(key, lambda: convert_graph(export_graph(module, backbone)))
            in_bfloat16 = backbone.precision == "bfloat16"
            graph = CompiledGraph(converted, width=backbone.hidden_width, in_bfloat16=in_bfloat16)
            error = largest_error(graph(inputs.flat(backbone)), expected, inputs.mask)
        except Exception as problem:  # two compilers may raise anything
            reason = " ".join(f"{type(problem).__name__}: {problem}".split())[:500]
        else:
            if error <= most:
                return graph
            reason = f"its hidden states are off by {error:.2g} of their size, expected at most {most}"
        forget_graph(key)
        self._warn(reason)
        return None

    def _warn(self, reason: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(Warnings.PW07.format(name=self._name, reason=reason), stacklevel=2)


@cache
def _makers(folders: tuple[Path, ...]) -> list[str]:
    """Return what a converted graph depends on besides the backbone: a hash of our code, and others' versions."""
    code = b"".join(file.read_bytes() for folder in folders for file in sorted(folder.rglob("*.py")))
    others = (f"{name} {version(name)}" for name in ("torch", "transformers", "openvino"))
    return [hashlib.sha256(code).hexdigest(), *others]
