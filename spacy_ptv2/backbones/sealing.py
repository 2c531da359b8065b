"""A folder with nothing but the files that identify a backbone, for transformers to read from.

transformers looks for many more files than the fingerprint covers: adapters for PEFT (with pickled weights), chat
templates, configs and tokenizers per version, whatever settings point to. What is not in the sealed folder cannot be
read. Its copies omit settings that would lead out of it or that are for the source to decide.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import BackboneError, Errors
from ..reading import read_object
from .fingerprint import identity_files

PICKLED_SUFFIXES = (".bin", ".pkl", ".pt", ".pth")  # the fingerprint covers "vocab.pkl", but nothing reads it
CONFIG, TOKENIZER_CONFIG = "config.json", "tokenizer_config.json"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
# The source decides on precision and attention. There is one config.json, and no code.
IGNORED_IN_CONFIG = (
    "_attn_implementation",
    "_attn_implementation_internal",
    "_name_or_path",
    "attn_implementation",
    "auto_map",
    "configuration_files",
    "dtype",
    "torch_dtype",
)
IGNORED_IN_TOKENIZER_CONFIG = ("auto_map", "fast_tokenizer_files", "name_or_path")


@contextmanager
def sealed(path: Path) -> Iterator[Path]:
    """Yield a temporary folder with the files that a backbone is loaded from.

    RAISES (BackboneError): P108 (unreadable), P118 (weights elsewhere), P120 (no model type).
    """
    files = {file.name: file for file in identity_files(path) if file.suffix not in PICKLED_SUFFIXES}
    _check_index(files)
    with tempfile.TemporaryDirectory(prefix="spacy_ptv2_", ignore_cleanup_errors=True) as parent:
        folder = Path(parent) / "sealed"
        folder.mkdir()
        for name, file in files.items():
            if name == CONFIG:
                _write(folder / name, read_config(path), IGNORED_IN_CONFIG)
            elif name == TOKENIZER_CONFIG:
                _write(folder / name, _without_paths(_read(file)), IGNORED_IN_TOKENIZER_CONFIG)
            else:
                _link(file.resolve(), folder / name)
        yield folder


def read_config(path: Path) -> dict[str, Any]:
    """Return the content of a folder's config.json.

    RAISES (BackboneError): P108 (unreadable), P120 (no model type; transformers would guess it from the path).
    """
    config = _read(path / CONFIG)
    if not isinstance(config.get("model_type"), str):
        problem = f"model_type is {config.get('model_type')!r}, expected the name of an architecture, such as 'bert'"
        raise BackboneError(Errors.P120.format(path=path / CONFIG, problem=problem))
    return config


def _read(file: Path) -> dict[str, Any]:
    try:
        return read_object(file)
    except (OSError, ValueError) as error:
        raise BackboneError(Errors.P108.format(path=file, error=error)) from error


def _check_index(files: dict[str, Path]) -> None:
    if WEIGHTS in files or INDEX not in files:  # the index is read only if there is no single file
        return
    shards = _read(files[INDEX]).get("weight_map")
    names = shards.values() if isinstance(shards, dict) else ()
    strange = [name for name in names if not isinstance(name, str) or name not in files]
    if strange or not names:
        got = repr(strange[0]) if strange else "no weight_map"
        raise BackboneError(Errors.P118.format(path=files[INDEX], got=got))


def _without_paths(settings: dict[str, Any]) -> dict[str, Any]:
    """Drop paths, which at best were right where the tokenizer was saved. The folder's own files are used instead."""
    return {key: value for key, value in settings.items() if not (key.endswith("_file") and isinstance(value, str))}


def _write(file: Path, settings: dict[str, Any], ignored: tuple[str, ...]) -> None:
    kept = {key: value for key, value in settings.items() if key not in ignored}
    file.write_text(json.dumps(kept), encoding="utf8")


def _link(file: Path, place: Path) -> None:
    try:
        place.symlink_to(file)
    except OSError:  # Windows lets only some users create links
        shutil.copyfile(file, place)
