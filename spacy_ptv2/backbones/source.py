"""Where the files of a backbone are on this machine.

In: a `BackboneSource` from the config. Out: a folder with config.json, safetensors weights and a fast tokenizer.
Order: explicit override (`path`, then the environment variable), installed package, local folder, local hub cache, and
the hub itself only where `allow_download` is set.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import BackboneError, Errors
from .catalogue import install_hint, locate_in_packages

OVERRIDE_VARIABLE = "SPACY_PTV2_BACKBONE"
HUB_PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.model"]
Precision = Literal["float32", "bfloat16", "float16"]
AttentionKind = Literal["sdpa", "eager"]
Quantization = Literal["int8", "nf4"]
PICKLED_WEIGHTS = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "tf_model.h5")


@dataclass(frozen=True)
class BackboneSource:
    """What a config says about a backbone: where it is and how to load it.

    name (str): A hub id ("sentence-transformers/all-MiniLM-L6-v2") or a folder.
    revision (str | None): The hub revision (branch, tag or commit); None for the default one.
    path (str | None): A folder to take instead, whatever `name` says.
    allow_download (bool): Whether the hub may be asked where nothing is found locally.
    dtype (str): The precision of its weights in memory: "float32", "bfloat16" or "float16".
    attention (str): "sdpa" (torch's fused attention) or "eager" (every score written out).
    quantization (str | None): "int8" or "nf4" (4 bits), by bitsandbytes; None for weights in `dtype`.
    """

    name: str
    revision: str | None = None
    path: str | None = None
    allow_download: bool = False
    dtype: Precision = "float32"
    attention: AttentionKind = "sdpa"
    quantization: Quantization | None = None


def find_backbone(source: BackboneSource) -> Path:
    """Return the folder that holds the files of a backbone.

    RAISES (BackboneError): P101 with every place looked at and the remedies; P102, P103 or P109 if what is there is
    unusable.
    """
    override = source.path or os.environ.get(OVERRIDE_VARIABLE)
    if override:
        return check_folder(Path(override).expanduser())
    packaged = locate_in_packages(source.name)
    if packaged is not None:
        return check_folder(packaged)
    folder = Path(source.name).expanduser()
    if folder.is_dir():
        return check_folder(folder)
    cached = _from_hub(source, local_only=True)
    if cached is None and source.allow_download:
        cached = _from_hub(source, local_only=False)
    if cached is not None:
        return check_folder(cached)
    tried = ["installed packages", f"the folder {folder}", "the local hub cache"]
    if source.allow_download:
        tried.append("the hub (download failed)")
    message = Errors.P101.format(
        name=source.name, tried=", ".join(tried), remedy=install_hint(source.name), variable=OVERRIDE_VARIABLE
    )
    raise BackboneError(message)


def check_folder(path: Path) -> Path:
    """Return the absolute path of a model folder, refusing one that lacks files or has pickled weights only.

    RAISES (BackboneError): P102, P103.
    """
    missing = []
    if not (path / "config.json").is_file():
        missing.append("config.json")
    if not any(path.glob("*.safetensors")):
        pickled = [name for name in PICKLED_WEIGHTS if (path / name).is_file()]
        if pickled:
            raise BackboneError(Errors.P103.format(path=path, found=", ".join(pickled)))
        missing.append("*.safetensors")
    if missing:
        raise BackboneError(Errors.P102.format(path=path, missing=" and ".join(missing)))
    return path.resolve()


def _from_hub(source: BackboneSource, *, local_only: bool) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder = snapshot_download(
            source.name, revision=source.revision, allow_patterns=HUB_PATTERNS, local_files_only=local_only
        )
    except (LocalEntryNotFoundError, HFValidationError, HfHubHTTPError, OSError):
        return None
    return Path(folder)
