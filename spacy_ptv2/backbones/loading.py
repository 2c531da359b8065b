"""Loads a frozen model: safetensors only, no code from the folder, no network, every parameter frozen."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoTokenizer
from transformers.configuration_utils import PretrainedConfig
from transformers.utils.quantization_config import BitsAndBytesConfig

from ..errors import BackboneError, Errors
from ..injection.families import find_family
from ..injection.family import Family
from ..injection.hooks import multiply_in_onednn, open_for_injection
from ..kernels.frozen_linear import pays
from .backbone import Backbone
from .lookup import find_backbone
from .model_config import settle_calls
from .plausibility import check_sizes
from .precision import resolve_precision
from .probing import probe
from .sealing import CONFIG, sealed
from .source import BackboneSource, Candidate, Quantization

DTYPE_ARGUMENT = "dtype" if hasattr(PretrainedConfig(), "dtype") else "torch_dtype"  # its name in this transformers
UNUSED_WEIGHTS = ("pooler.",)  # published models often leave the pooler out
QUANTIZATION_PACKAGES = ("bitsandbytes", "accelerate")
RUST_PANIC = "PanicException"  # raised by the tokenizers library; not a subclass of `Exception`
MAX_DETAILS = 500  # how many characters of another library's error a message quotes
# With this a layer of bitsandbytes packs its weights at its first prediction and can no longer train.
PACKS_ON_CPU = "support_avx512bf16_for_cpu"


def load_backbone(source: BackboneSource, found: Candidate, device: torch.device, fingerprint: str) -> Backbone:
    """Load a frozen model and its tokenizer from a folder, onto a device. fingerprint (str): That of its files.

    Only the files that the fingerprint covers are read.
    RAISES (BackboneError): P104, P107, P110 (not a model that can take an adapter), P106, P113 (no fast tokenizer),
        P108, P118-P122 (damaged, or not a backbone), P111 (a package for quantized weights is missing), P112 (weights
        are missing).
    """
    try:
        with sealed(found.path) as folder:
            return _load(folder, source, found, device, fingerprint)
    except (BackboneError, torch.OutOfMemoryError):  # if the GPU is out of memory, the file is not to blame
        raise
    except BaseException as error:  # a damaged file fails in many ways, deep inside three libraries
        if not isinstance(error, Exception) and type(error).__name__ != RUST_PANIC:
            raise
        details = f"{type(error).__name__}: {error}"[:MAX_DETAILS]
        raise BackboneError(Errors.P108.format(path=found.path, error=details)) from error


def _load(folder: Path, source: BackboneSource, found: Candidate, device: torch.device, fingerprint: str) -> Backbone:
    config = read_model_config(folder)
    rule = find_family(config, found.path)
    check_sizes(folder, config, rule)
    model = _load_model(folder, config, rule, source, found, device)
    tokenizer = _load_tokenizer(folder, found.path)
    for named in (config, model.config):
        named._name_or_path = str(found.path)
    tokenizer.name_or_path = str(found.path)
    backbone = Backbone(
        source=source, found=found, fingerprint=fingerprint, model=model, tokenizer=tokenizer, rule=rule
    )
    probe(backbone)
    return backbone


def _load_model(
    folder: Path, config: Any, rule: Family, source: BackboneSource, found: Candidate, device: torch.device
) -> Any:
    options: dict[str, Any] = {DTYPE_ARGUMENT: resolve_precision(source.dtype, device)}
    if source.attention == "eager":  # otherwise transformers chooses what it considers best
        options["attn_implementation"] = "eager"
    if source.quantization is not None:
        options["quantization_config"] = _quantization_config(source.quantization)
        options["device_map"] = {"": device}  # the default is a GPU wherever there is one
    model, report = getattr(transformers, rule.model_class).from_pretrained(
        folder,
        config=config,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        output_loading_info=True,
        **options,
    )
    missing = sorted(name for name in report["missing_keys"] if not name.startswith(UNUSED_WEIGHTS))
    if missing:
        raise BackboneError(Errors.P112.format(path=found.path, missing=", ".join(missing[:5])))
    if not rule.layers(model):
        raise BackboneError(Errors.P120.format(path=found.path / CONFIG, problem="the model has no layers"))
    _freeze(model)
    if model.device != device:  # quantized weights are on the device already, and must not be moved
        model.to(device)
    if device.type == "cpu" and pays():
        multiply_in_onednn(model)
    open_for_injection(model, rule, source.attention)
    model.eval()
    return model


def _freeze(model: Any) -> None:
    model.requires_grad_(False)
    for module in model.modules():
        if hasattr(module, PACKS_ON_CPU):
            setattr(module, PACKS_ON_CPU, False)


def _quantization_config(quantization: Quantization) -> Any:
    missing = [name for name in QUANTIZATION_PACKAGES if find_spec(name) is None]
    if missing:
        raise BackboneError(Errors.P111.format(got=quantization, missing=" and ".join(missing)))
    settings: dict[str, dict[str, Any]] = {
        "int8": {"load_in_8bit": True},
        "nf4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
    }
    return BitsAndBytesConfig(**settings[quantization])


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
    return tokenizer
