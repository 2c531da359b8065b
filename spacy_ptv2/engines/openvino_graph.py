"""A backbone's graph, compiled by OpenVINO (https://docs.openvino.ai) for this machine's CPU.

OpenVINO reports its use to its makers over the network, at its import and at each conversion, unless its users opt out
or the environment says that it runs in continuous integration (`CI=true`). Nothing here goes into the network unasked,
so it is imported, and converts, under that variable, which is then as it was before.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch.export import ExportedProgram

NO_REPORTS = ("CI", "true")  # `openvino_telemetry` looks for it, and OpenVINO's own calls of that package let it
_one_at_a_time = threading.Lock()  # so that what each restores is what was there before all

# How many compiled kernels of each kind a graph keeps, those for other numbers of rows and pieces among them, and how
# many the process: OpenVINO keeps 5,000 and 1,024, which varied texts take hours to fill, 0.2 MB for each further shape
# with MiniLM. As many as here take no measurable time; none would take single short texts half their speed.
KEPT_KERNELS = 256
GRAPH_CACHE = "CPU_RUNTIME_CACHE_CAPACITY"
PROCESS_CACHE = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"


@cache
def has_openvino() -> bool:
    """Return whether the package is installed."""
    return find_spec("openvino") is not None


@cache
def load_openvino() -> Any:
    """Return the module openvino, imported without reporting its use."""
    with _environment(*NO_REPORTS):
        import openvino
    return openvino


def convert_graph(program: ExportedProgram) -> Any:
    """Convert what torch exported, without reporting that. RETURNS (openvino.Model)"""
    openvino = load_openvino()
    with _environment(*NO_REPORTS), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # between torch and its own pickling
        return openvino.convert_model(program)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set a variable of the environment for as long as it is read."""
    with _one_at_a_time:
        before = os.environ.get(name)
        os.environ[name] = value
        try:
            yield
        finally:
            if before is None:
                del os.environ[name]
            else:
                os.environ[name] = before


class CompiledGraph:
    """A compiled graph with a place for one pass at a time.

    graph (openvino.Model): The graph. width (int): Of what it returns.
    in_bfloat16 (bool): Compute in bfloat16 what need not be in float32.
    """

    def __init__(self, graph: Any, *, width: int, in_bfloat16: bool) -> None:
        openvino = load_openvino()
        self._wrap = openvino.Tensor
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "bf16" if in_bfloat16 else "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        # OpenVINO's copy of oneDNN reads this once, when it makes its first kernel, and offers no other way:
        # https://uxlfoundation.github.io/oneDNN/dev_guide_primitive_cache.html
        with _environment(PROCESS_CACHE, os.environ.get(PROCESS_CACHE, str(KEPT_KERNELS))):
            try:
                compiled = openvino.Core().compile_model(graph, "CPU", {**settings, GRAPH_CACHE: str(KEPT_KERNELS)})
            except RuntimeError:  # it is none of the documented settings: a version may not know it
                compiled = openvino.Core().compile_model(graph, "CPU", settings)
        self._request = compiled.create_infer_request()
        self._n_outputs, self._width = len(compiled.outputs), width

    def __call__(self, tensors: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Return the outputs, in memory of their own. Shape of each: (rows, pieces, width)"""
        rows, pieces = tensors[0].shape[:2]
        outputs = tuple(torch.empty(rows, pieces, self._width) for _ in range(self._n_outputs))
        for number, output in enumerate(outputs):
            self._request.set_output_tensor(number, self._wrap(output.numpy(), shared_memory=True))
        self._request.infer([tensor.contiguous().numpy() for tensor in tensors], share_inputs=True)
        return outputs
