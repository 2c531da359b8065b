"""Writes the folder of an exported recognizer: the graph, the tokenizer, and what else its reader has to know.

In: a pipeline, and sample texts. Out: `model.onnx`, `tokenizer.json` (of the library tokenizers) and `task.json`, once
the graph does on the texts what the pipeline does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import spacy
import torch
from spacy.language import Language

from .. import __version__
from ..alignment.word_shape import WORD_SHAPES
from ..engines.engine import TOLERANCES
from ..errors import Errors, PTuningError
from ..reading import parse_object
from ..writing import replacing_folder
from .graph import PACKAGES, TagGraph, check_packages, write_graph, write_int8
from .recognizer import POOLINGS, Recognizer, find_recognizer
from .sessions import Comparison, compare

MODEL_FILE, TOKENIZER_FILE, TASK_FILE = "model.onnx", "tokenizer.json", "task.json"
FORMAT_VERSION = 1


def load_in_float32(pipeline: str) -> Language:
    """Load a pipeline with its backbones in float32, in whatever precision this machine would run them.

    pipeline (str): A folder, or the name of an installed package.
    """
    nlp = spacy.load(pipeline)
    return spacy.load(pipeline, config=dict.fromkeys(_dtypes(nlp.config["components"], "components"), "float32"))


def _dtypes(block: dict[str, Any], path: str) -> Iterator[str]:
    """Yield where in a config the precision of a backbone is set."""
    for name, value in block.items():
        if name == "backbone" and isinstance(value, dict):
            yield f"{path}.backbone.dtype"
        elif isinstance(value, dict):
            yield from _dtypes(value, f"{path}.{name}")


def export_onnx(nlp: Language, folder: Path, texts: Sequence[str], *, int8: bool = False) -> Comparison:
    """Write a pipeline's recognizer of entities to a folder, which is replaced if it is an earlier export.

    texts (Sequence[str]): What the graph is compared on, at least one.
    int8 (bool): Store the weights in 8 bits.
    RETURNS (Comparison): Of what was written with the pipeline.
    RAISES (PTuningError): P870, P871, P872 if the graph is wrong, P873 if the folder has other files, P810.
    """
    check_packages()
    _refuse_other_files(folder)
    recognizer = find_recognizer(nlp)
    output = recognizer.head.model.get_ref("output_layer")
    weights = (torch.tensor(output.get_param(name)) for name in ("W", "b"))
    docs = [nlp.make_doc(text) for text in texts]
    with replacing_folder(folder) as new:
        model = new / MODEL_FILE
        write_graph(TagGraph(recognizer.encoder, *weights), model)
        found = compare(model, recognizer, docs)
        most = TOLERANCES["float32"]
        if not found.error <= most:
            problem = f"its scores are off by {found.error:.2g} of their size, expected at most {most}"
            raise PTuningError(Errors.P872.format(problem=problem))
        if int8:
            write_int8(model, new / "int8.onnx").replace(model)
            found = compare(model, recognizer, docs)
        task = describe(recognizer, weights="int8" if int8 else "float32")
        for name, content in ((TASK_FILE, task), (TOKENIZER_FILE, _tokenizer(recognizer))):
            (new / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf8")
    return found


def describe(recognizer: Recognizer, *, weights: str) -> dict[str, Any]:
    """Return what a reader of the graph has to know, and what the graph was made of, as JSON values."""
    head, backbone, recorded = recognizer.head, recognizer.backbone, recognizer.shim.recorded
    limits = recognizer.windows.limits(recognizer.encoder)
    before, after = backbone.special_pieces
    return {
        "format_version": FORMAT_VERSION,
        "lang": recognizer.nlp.lang,
        "labels": list(head.labels),
        "scheme": head.cfg["scheme"],
        "tags": list(head.tag_scheme.tags),
        "pooling": POOLINGS[recognizer.pooling.name],
        "outside_bias": head.cfg["outside_bias"],
        "temperature": head.cfg["temperature"],
        "threshold": head.cfg["threshold"],
        "window": {"length": limits.window, "overlap": limits.overlap},
        "special_pieces": {
            "before": list(before),
            "after": list(after),
            "padding": backbone.pad_id,
            "never_text": sorted(backbone.special_ids),
        },
        "word_shapes": None if recognizer.encoder.word_shape is None else list(WORD_SHAPES),
        "weights": weights,
        "backbone": {
            "name": backbone.source.name,
            "revision": recorded.revision,
            "fingerprint": recorded.fingerprint,
        },
        "versions": {
            "spacy_ptv2": __version__,
            **{name: version(name) for name in (*PACKAGES, "tokenizers", "torch", "transformers")},
        },
    }


def _tokenizer(recognizer: Recognizer) -> dict[str, Any]:
    """Return the backbone's tokenizer as JSON values. It neither truncates nor pads."""
    definition = parse_object(recognizer.backbone.tokenizer.backend_tokenizer.to_str())
    return {**definition, "truncation": None, "padding": None}


def _refuse_other_files(folder: Path) -> None:
    is_other = folder.exists() and not (folder / TASK_FILE).is_file()
    if is_other and (not folder.is_dir() or any(folder.iterdir())):
        raise PTuningError(Errors.P873.format(path=folder))
