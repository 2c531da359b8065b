"""Engines for the frozen backbone with its prompt, side by side: how fast a pass is, and how far its states are off.

python -m benchmarks.speed.engines [--backbone NAME_OR_FOLDER] [--length 64] [--pieces 1250] [--repeats 7]

Needs the package with its extras `onnx` and `openvino`. Rows of 12, 26, 128 and
512 pieces of Wikigold's words, so many that a batch has about `--pieces`; random prompts in all layers, the states of
all layers as output. Engines alternate within each repeat. "off": the mean error of the worst layer as a share of the
size of its states. ONNX Runtime and torch.compile run the same graph as OpenVINO, and are in no pipeline: this is why.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
import typer

from spacy_ptv2.backbones.backbone import Backbone
from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.engines.graph import AdapterGraph, GraphForm, GraphInputs, export_graph, largest_error
from spacy_ptv2.engines.openvino_graph import CompiledGraph, convert_graph

from ..lib.annotators import read_texts
from ..lib.pipelines import MINILM, seconds
from ..lib.results import record, table

Run = Callable[[GraphInputs], tuple[torch.Tensor, ...]]

FORM = GraphForm(all_states=True)
LENGTHS = (12, 26, 128, 512)
HEADER = ("engine", *(f"rows of {length}" for length in LENGTHS), "off")


def main(
    backbone: str = MINILM, length: int = 64, pieces: int = 1250, repeats: int = 7, results: Path | None = None
) -> None:
    """Print and record one row per engine: times as fast as torch in float32, by the pieces of a row."""
    exact, rounded = (get_backbone(BackboneSource(backbone, dtype=dtype)) for dtype in ("float32", "bfloat16"))
    engines = {
        "torch": in_torch(exact),
        "torch, bf16": in_torch(rounded),
        "torch.compile": in_torch(exact, compiled=True),
        **in_openvino(exact),
        **in_onnxruntime(exact),
    }
    inputs = [draw_inputs(exact, length, max(1, pieces // columns), columns) for columns in LENGTHS]
    columns = [compare(engines, own, repeats) for own in inputs]
    text = table(
        HEADER, [[name, *(column[name] for column in columns), off(engines, name, inputs)] for name in engines]
    )
    print(text)
    record(f"Engines, {Path(backbone).name}", text, results)


def draw_inputs(backbone: Backbone, length: int, rows: int, columns: int) -> GraphInputs:
    """Return words of a corpus in rows of equal length, and a prompt in every layer."""
    words = " ".join(word for text in read_texts(None, n_words=rows * columns) for word in text.words)
    ids = torch.tensor(backbone.tokenizer(words, add_special_tokens=False)["input_ids"][: rows * columns])
    embeddings = backbone.model.get_input_embeddings()(ids.view(rows, columns)).detach()
    torch.manual_seed(0)
    prompts = {layer: torch.randn(2, length, backbone.key_width) for layer in range(backbone.n_layers)}
    return GraphInputs(embeddings, torch.ones(rows, columns, dtype=torch.long), prompts, {})


def in_torch(backbone: Backbone, *, compiled: bool = False) -> Run:
    """Return torch's own way, eager or through torch.compile."""
    graph = AdapterGraph(backbone, FORM).to(backbone.model.dtype)
    call = torch.compile(graph, dynamic=True) if compiled else graph

    def run(inputs: GraphInputs) -> tuple[torch.Tensor, ...]:
        embeddings, mask, *prompts = inputs.flat(backbone)
        dtype = backbone.model.dtype
        with torch.inference_mode():
            states = call(embeddings.to(dtype), mask, *(prompt.to(dtype) for prompt in prompts))
            return tuple(state.float() for state in states)

    return run


def in_openvino(backbone: Backbone) -> dict[str, Run]:
    """Return what the package offers."""
    whole, in_8_bits = AdapterGraph(backbone, FORM), AdapterGraph(backbone, FORM)
    in_8_bits.quantize()
    found: dict[str, Run] = {}
    for name, graph in (("OpenVINO", whole), ("OpenVINO, int8", in_8_bits)):
        converted = convert_graph(export_graph(graph, backbone))
        for precision, in_bfloat16 in (("", False), (" and bf16" if "int8" in name else ", bf16", True)):
            ready = CompiledGraph(converted, width=backbone.hidden_width, in_bfloat16=in_bfloat16)
            found[name + precision] = lambda inputs, ready=ready: ready(inputs.flat(backbone))
    return found


def in_onnxruntime(backbone: Backbone) -> dict[str, Run]:
    """Return ONNX Runtime in float32, and with weights and activations of 8 bits (its dynamic quantisation)."""
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    found: dict[str, Run] = {}
    with tempfile.TemporaryDirectory() as folder:
        plain, quantized = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
        torch.onnx.export(export_graph(AdapterGraph(backbone, FORM), backbone), dynamo=True, verbose=False).save(plain)
        quantize_dynamic(plain, quantized, weight_type=QuantType.QInt8, per_channel=True)
        for name, file in (("ONNX Runtime", plain), ("ONNX Runtime, int8", quantized)):
            session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
            found[name] = lambda inputs, session=session: run_session(session, inputs.flat(backbone))
    return found


def run_session(session, tensors: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:  # type: ignore[no-untyped-def]
    """Return the outputs of a session of ONNX Runtime."""
    names = [entry.name for entry in session.get_inputs()]
    arrays = {name: tensor.numpy() for name, tensor in zip(names, tensors, strict=True)}
    return tuple(map(torch.from_numpy, session.run(None, arrays)))


def compare(engines: dict[str, Run], inputs: GraphInputs, repeats: int) -> dict[str, str]:
    """Return how many times as fast as torch in float32 each engine is; the first round warms up."""
    times: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(repeats + 1):
        for name, run in engines.items():
            times[name].append(seconds(lambda run=run: run(inputs)))
    pairs = {name: [a / b for a, b in zip(times["torch"], own, strict=True)][1:] for name, own in times.items()}
    return {name: f"{median(own):.2f} ({min(own):.2f} to {max(own):.2f})" for name, own in pairs.items()}


def off(engines: dict[str, Run], name: str, inputs: list[GraphInputs]) -> str:
    """Return how far the states of an engine are off, at most of some inputs."""
    return f"{max(largest_error(engines[name](own), engines['torch'](own), own.mask) for own in inputs):.2g}"


if __name__ == "__main__":
    typer.run(main)
