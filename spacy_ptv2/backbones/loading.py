"""Loads a frozen model and its tokenizer: safetensors only, no code from the folder, no network.

A model that an engine runs here, and that was loaded and tried here before, is loaded when something else needs it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoTokenizer

from ..errors import BackboneError, Errors
from .backbone import Backbone
from .fingerprint import fingerprint_folder
from .lookup import find_backbone, refuse_another
from .model_config import settle_calls
from .sealing import sealed
from .sizes import measure, recall_sizes
from .source import BackboneSource, Candidate

RUST_PANIC = "PanicException"  # raised by the tokenizers library; not a subclass of `Exception`
MAX_DETAILS = 500  # how many characters of another library's error a message quotes

# One lock for all: while it loads a model, transformers changes torch's default dtype and initialisers process-wide.
_one_at_a_time = threading.Lock()


def load_backbone(source: BackboneSource, found: Candidate, device: torch.device, fingerprint: str) -> Backbone:
    """Load a frozen model and its tokenizer from a folder, onto a device. fingerprint (str): That of its files.

    Only the files that the fingerprint covers are read. The model waits where its sizes are known (`sizes.py`).
    RAISES (BackboneError): P104, P107, P110 (not a model that can take an adapter), P106, P113 (no fast tokenizer),
        P108, P118-P122 (damaged, or not a backbone), P111 (a package for quantized weights is missing), P112 (weights
        are missing).
    """
    with _one_at_a_time, _reporting(found), sealed(found.path) as folder:
        sizes = recall_sizes(source, fingerprint, device)
        if sizes is None:
            return _load(folder, source, found, device, fingerprint)
        return Backbone(
            source=source,
            found=found,
            fingerprint=fingerprint,
            tokenizer=_load_tokenizer(folder, found.path),
            device=device,
            sizes=sizes,
            load_model=partial(_load_later, source, found, device, fingerprint),
        )


@contextmanager
def _reporting(found: Candidate) -> Iterator[None]:
    """Turn whatever a damaged file raises into P108."""
    try:
        yield
    except (BackboneError, torch.OutOfMemoryError):  # if the GPU is out of memory, the file is not to blame
        raise
    except BaseException as error:  # a damaged file fails in many ways, deep inside three libraries
        if not isinstance(error, Exception) and type(error).__name__ != RUST_PANIC:
            raise
        details = f"{type(error).__name__}: {error}"[:MAX_DETAILS]
        raise BackboneError(Errors.P108.format(path=found.path, error=details)) from error


def _load(folder: Path, source: BackboneSource, found: Candidate, device: torch.device, fingerprint: str) -> Backbone:
    from .probing import probe

    model, rule = _load_model(folder, source, found, device)
    backbone = Backbone(
        source=source,
        found=found,
        fingerprint=fingerprint,
        tokenizer=_load_tokenizer(folder, found.path),
        device=model.device,
        sizes=measure(model, rule),
        load_model=lambda: model,
    )
    probe(backbone)
    return backbone


def _load_later(source: BackboneSource, found: Candidate, device: torch.device, fingerprint: str) -> Any:
    """Load the model of a backbone whose sizes were known, from the same files."""
    with _one_at_a_time, _reporting(found), sealed(found.path) as folder:
        now = fingerprint_folder(found.path)
        if now != fingerprint:
            raise refuse_another(source, found.path, expected=fingerprint, got=now)
        return _load_model(folder, source, found, device)[0]


def _load_model(folder: Path, source: BackboneSource, found: Candidate, device: torch.device) -> tuple[Any, Any]:
    """Load a model. RETURNS: It, and its family."""
    from ..injection.families import find_family
    from .model_loading import load_model
    from .plausibility import check_sizes

    config = read_model_config(folder)
    rule = find_family(config, found.path)
    check_sizes(folder, config, rule)
    model = load_model(folder, config, rule, source, found, device)
    for named in (config, model.config):
        named._name_or_path = str(found.path)
    return model, rule


def read_model_config(folder: Path) -> Any:
    """Return the config of the model in a sealed folder, after `settle_calls`."""
    return settle_calls(AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True))


def load_tokenizer(source: BackboneSource) -> Any:
    """Return the tokenizer of a backbone on this machine, without its weights.

    RAISES (BackboneError): P101, P106, P113; P108, P118 as `sealed`.
    """
    path = find_backbone(source)
    with sealed(path) as folder:
        return _load_tokenizer(folder, path)


def _load_tokenizer(folder: Path, path: Path) -> Any:
    """Load a tokenizer that treats the names of special pieces as text. path (Path): The folder's name in messages.

    It does so always: threads share the tokenizer, so no setting of it can change while others use it.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True, use_fast=True, split_special_tokens=True
        )
    except BaseException as error:  # as above
        if not isinstance(error, Exception) and type(error).__name__ != RUST_PANIC:
            raise
        details = " ".join(str(error).split())[:MAX_DETAILS]  # some messages have several lines
        raise BackboneError(Errors.P113.format(path=path, error=details)) from error
    if not getattr(tokenizer, "is_fast", False):
        raise BackboneError(Errors.P106.format(path=path))
    tokenizer.name_or_path = str(path)
    return tokenizer
