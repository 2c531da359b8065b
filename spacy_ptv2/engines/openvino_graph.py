"""A backbone's graph, compiled by OpenVINO (https://docs.openvino.ai) for this machine's CPU.

OpenVINO reports its use to its makers over the network, on import and on each conversion, unless its users opt out or
the environment says that it runs in continuous integration (`CI=true`). This package uses the network only when asked.
So OpenVINO is imported and converts with that variable set, and the variable is restored afterwards.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch.export import ExportedProgram

NO_REPORTS = ("CI", "true")  # `openvino_telemetry` checks it, and OpenVINO reports through that package only
_one_at_a_time = threading.Lock()  # so that every thread restores the original value

# How many compiled kernels a graph keeps, and how many the process keeps. There is a kernel of each kind for each shape
# of rows and pieces. OpenVINO's limits are 5,000 and 1,024: varied texts fill them over hours, at 0.2 MB per shape with
# MiniLM. With the limit below no slowdown can be measured; without any kernels kept, short single texts take twice as
# long.
KEPT_KERNELS = 256
GRAPH_CACHE = "CPU_RUNTIME_CACHE_CAPACITY"
PROCESS_CACHE = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"


@cache
def has_openvino() -> bool:
    """Return whether OpenVINO is installed."""
    return find_spec("openvino") is not None


@cache
def load_openvino() -> Any:
    """Return the module openvino, imported without it reporting its use."""
    with _environment(*NO_REPORTS):
        import openvino
    return openvino


@cache
def load_core() -> Any:
    """Return the one openvino.Core of this process, which stays for good.

    OpenVINO gives the thread that makes one another stack for signals, and takes it away when it is freed. If another
    thread frees it, the first one is left without a stack, and Ctrl-C ends the process with a segmentation fault.
    """
    return load_openvino().Core()


def convert_graph(program: ExportedProgram) -> Any:
    """Convert a program that torch exported, without reporting it. RETURNS (openvino.Model)"""
    openvino = load_openvino()
    with _environment(*NO_REPORTS), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch warns of its own pickling
        return openvino.convert_model(program)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set an environment variable inside this context."""
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
    """A compiled graph, for one pass at a time.

    graph (openvino.Model): The graph.
    width (int): The width of its outputs.
    in_bfloat16 (bool): Compute in bfloat16 whatever does not need float32.
    """

    def __init__(self, graph: Any, *, width: int, in_bfloat16: bool) -> None:
        self._wrap = load_openvino().Tensor
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "bf16" if in_bfloat16 else "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        # OpenVINO's copy of oneDNN reads this once, when it creates its first kernel. There is no other way to set it:
        # https://uxlfoundation.github.io/oneDNN/dev_guide_primitive_cache.html
        with _environment(PROCESS_CACHE, os.environ.get(PROCESS_CACHE, str(KEPT_KERNELS))):
            try:
                compiled = load_core().compile_model(graph, "CPU", {**settings, GRAPH_CACHE: str(KEPT_KERNELS)})
            except RuntimeError:  # GRAPH_CACHE is undocumented, so a version may not know it
                compiled = load_core().compile_model(graph, "CPU", settings)
        self._request = compiled.create_infer_request()
        self._n_outputs, self._width = len(compiled.outputs), width

    def __call__(self, tensors: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Return the outputs, each in memory of its own. Shape of each: (rows, pieces, width)"""
        rows, pieces = tensors[0].shape[:2]
        outputs = tuple(torch.empty(rows, pieces, self._width) for _ in range(self._n_outputs))
        for number, output in enumerate(outputs):
            self._request.set_output_tensor(number, self._wrap(output.numpy(), shared_memory=True))
        self._request.infer([tensor.contiguous().numpy() for tensor in tensors], share_inputs=True)
        return outputs
