"""A backbone's graph, compiled by OpenVINO (https://docs.openvino.ai) for this machine's CPU.

OpenVINO reports its use to its makers over the network unless its users opt out. Nothing here goes into the network
unasked, so it is loaded as if the package that reports, `openvino_telemetry`, were not installed, which it allows for.
"""

from __future__ import annotations

import sys
import warnings
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch.export import ExportedProgram

TELEMETRY = "openvino_telemetry"


@cache
def has_openvino() -> bool:
    """Return whether the package is installed."""
    return find_spec("openvino") is not None


def load_openvino() -> Any:
    """Return the module openvino, loaded without what reports its use."""
    hidden = TELEMETRY not in sys.modules
    if hidden:
        sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # for the import system: there is none
    try:
        import openvino
        import openvino.tools.ovc.convert_impl  # the last that looks for it
    finally:
        if hidden:
            del sys.modules[TELEMETRY]
    return openvino


def convert_graph(program: ExportedProgram) -> Any:
    """Convert what torch exported. RETURNS (openvino.Model)"""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # between torch and its own pickling
        return load_openvino().convert_model(program)


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
