"""Loading a frozen model: safetensors only, no code from the folder, no network, every parameter frozen."""

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
from .backbone import Backbone
from .families import find_rule
from .frozen_linear import multiply_in_onednn, pays
from .install import open_for_prompts
from .model_config import settle_calls
from .precision import resolve_precision
from .source import BackboneSource, Candidate, Quantization

DTYPE_ARGUMENT = "dtype" if hasattr(PretrainedConfig(), "dtype") else "torch_dtype"  # what its configs call it
UNUSED_WEIGHTS = ("pooler.",)  # of the whole sequence; published models often leave them out
QUANTIZATION_PACKAGES = ("bitsandbytes", "accelerate")
PACKS_ON_CPU = "support_avx512bf16_for_cpu"  # packed at its first prediction, a layer of bitsandbytes trains no more


def load_backbone(source: BackboneSource, found: Candidate, device: torch.device, fingerprint: str) -> Backbone:
    """Load a frozen model and its tokenizer from a folder, onto a device. fingerprint (str): That of its files.

    RAISES (BackboneError): P104, P107, P110 (not a model that can take a prompt), P106, P113 (no fast tokenizer), P108
    (damaged), P111 (a package for quantized weights is missing), P112 (weights are missing).
    """
    path = found.path
    config = read_config(path)
    rule = find_rule(config, path)
    options: dict[str, Any] = {DTYPE_ARGUMENT: resolve_precision(source.dtype, device)}
    if source.attention == "eager":  # otherwise what the version of transformers takes for the best
        options["attn_implementation"] = "eager"
    if source.quantization is not None:
        options["quantization_config"] = _quantization_config(source.quantization)
        options["device_map"] = {"": device}  # by default on a GPU, wherever there is one
    try:
        model, report = getattr(transformers, rule.model_class).from_pretrained(
            path,
            config=config,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            **options,
        )
    except Exception as error:  # a damaged file fails in many ways, deep inside three libraries
        raise BackboneError(Errors.P108.format(path=path, error=error)) from error
    missing = sorted(name for name in report["missing_keys"] if not name.startswith(UNUSED_WEIGHTS))
    if missing:
        raise BackboneError(Errors.P112.format(path=path, missing=", ".join(missing[:5])))
    model.requires_grad_(False)
    for module in model.modules():
        if hasattr(module, PACKS_ON_CPU):
            setattr(module, PACKS_ON_CPU, False)
    if model.device != device:  # quantized weights are there already, and may not be moved
        model.to(device)
    if device.type == "cpu" and pays():
        multiply_in_onednn(model)
    open_for_prompts(model, rule, source.attention)
    model.eval()
    return Backbone(
        source=source,
        found=found,
        fingerprint=fingerprint,
        model=model,
        tokenizer=_load_tokenizer(path),
        rule=rule,
    )


def _quantization_config(quantization: Quantization) -> Any:
    missing = [name for name in QUANTIZATION_PACKAGES if find_spec(name) is None]
    if missing:
        raise BackboneError(Errors.P111.format(got=quantization, missing=" and ".join(missing)))
    settings: dict[str, dict[str, Any]] = {
        "int8": {"load_in_8bit": True},
        "nf4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
    }
    return BitsAndBytesConfig(**settings[quantization])


def read_config(path: Path) -> Any:
    """Return the config of the model in a folder, with all that is about calls settled (see `settle_calls`).

    RAISES (BackboneError): P108 if it cannot be read.
    """
    try:
        return settle_calls(AutoConfig.from_pretrained(path, trust_remote_code=False, local_files_only=True))
    except (OSError, ValueError) as error:
        raise BackboneError(Errors.P108.format(path=path, error=error)) from error


def _load_tokenizer(path: Path) -> Any:
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False, local_files_only=True, use_fast=True)
    except Exception as error:  # as above
        raise BackboneError(Errors.P113.format(path=path, error=error)) from error
    if not getattr(tokenizer, "is_fast", False):
        raise BackboneError(Errors.P106.format(path=path))
    return tokenizer
