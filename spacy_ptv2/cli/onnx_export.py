"""``spacy ptv2 export-onnx``: writes a recognizer of entities for ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from wasabi import msg

from ..errors import PTuningError
from .messages import fail


def export_onnx_cli(
    pipeline: Annotated[str, typer.Argument(help="A pipeline: a folder or an installed package.")],
    folder: Annotated[Path, typer.Argument(help="The folder to write; an earlier export is replaced.")],
    int8: Annotated[bool, typer.Option("--int8", help="Store the weights in 8 bits.")] = False,
    texts: Annotated[Path | None, typer.Option(help="A file of texts to compare on, one per line.")] = None,
) -> None:
    """Write a pipeline's recognizer of entities as an ONNX graph, which runs without spaCy and torch."""
    from ..onnx_export.folder import MODEL_FILE, export_onnx, load_in_float32
    from ..packaging.sample import sample_texts

    try:
        nlp = load_in_float32(pipeline)
        sample = sample_texts(nlp.lang or "", texts)
        found = export_onnx(nlp, folder, sample, int8=int8)
    except (PTuningError, OSError) as error:
        fail(f"Cannot export {pipeline}", str(error))
    msg.text(f"{len(sample)} texts: {found}")
    msg.good(f"{folder}: {(folder / MODEL_FILE).stat().st_size / 1e6:.1f} MB")
