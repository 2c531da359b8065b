"""Loads the weights of a frozen model: safetensors only, no code from the folder, every parameter frozen.

In: a sealed folder. Out: a model of transformers, opened for adapters. Importing this module takes seconds.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.configuration_utils import PretrainedConfig
from transformers.utils.quantization_config import BitsAndBytesConfig

from ..errors import BackboneError, Errors
from ..injection.family import Family
from ..injection.hooks import multiply_in_onednn, open_for_injection
from ..kernels.frozen_linear import pays
from .precision import resolve_precision
from .sealing import CONFIG
from .source import BackboneSource, Candidate, Quantization

DTYPE_ARGUMENT = "dtype" if hasattr(PretrainedConfig(), "dtype") else "torch_dtype"  # its name in this transformers
UNUSED_WEIGHTS = ("pooler.",)  # published models often leave the pooler out
QUANTIZATION_PACKAGES = ("bitsandbytes", "accelerate")
# With this a layer of bitsandbytes packs its weights at its first prediction and can no longer train.
PACKS_ON_CPU = "support_avx512bf16_for_cpu"


def load_model(
    folder: Path, config: Any, rule: Family, source: BackboneSource, found: Candidate, device: torch.device
) -> Any:
    """Load a frozen model onto a device, open for adapters.

    folder (Path): A sealed one. config, rule: Of the model.
    RAISES (BackboneError): P111 (a package for quantized weights is missing), P112 (weights are missing), P120.
    """
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
