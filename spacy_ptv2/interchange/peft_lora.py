"""LoRA adapters of huggingface/peft: `adapter_config.json` and `adapter_model.safetensors`.

In: config and tensors. Out: matrices by module name, with the scale folded in. The way back writes a scale of 1.
Anything else in an adapter that changes hidden states is refused by name.
Source: `LoraLayer.update_layer` and `LoraModel._create_and_replace` of huggingface/peft (tuners/lora).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers.pytorch_utils import Conv1D

from ..adapters.lora import LoRA
from ..backbones.backbone import Backbone
from ..errors import Errors, FormatError
from .lora import ForeignLoRA, Matrices, named_matrices

WEIGHTS_FILE = "adapter_model.safetensors"
START = "base_model.model."  # the start of every tensor name in such a file
DOWN, UP = ".lora_A.weight", ".lora_B.weight"
# Settings that change the hidden states in a way that two matrices and a scale cannot express.
CHANGING = (
    "use_dora",
    "lora_bias",
    "use_qalora",
    "layer_replication",
    "target_parameters",
    "trainable_token_indices",
    "alora_invocation_tokens",
    "use_bdlora",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
)
# Initialisations that leave the backbone's own weights unchanged. The others (PiSSA, OLoRA, ...) change them.
PLAIN_STARTS = (True, False, None, "gaussian", "orthogonal", "eva")


def read_lora(config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], path: Path) -> ForeignLoRA | None:
    """Return the LoRA in a folder's config and tensors, or None if there is none.

    RAISES (FormatError): P504 if it uses a feature without a counterpart here.
    RAISES (ValueError): If it contradicts itself.
    """
    if config.get("peft_type") != "LORA":
        return None
    _refuse_features(config, path)
    matrices: dict[str, Matrices] = {}
    for name, down in tensors.items():
        module = name.removeprefix(START).removesuffix(DOWN)
        up = tensors.get(name.removesuffix(DOWN) + UP)
        if name.endswith(DOWN) and up is not None:
            matrices[module] = _scaled(config, module, down.float(), up.float(), path)
    used = {f"{START}{module}{kind}" for module in matrices for kind in (DOWN, UP)}
    others = [name.removeprefix(START) for name in tensors if name not in used]
    return ForeignLoRA(matrices, others, config.get("base_model_name_or_path")) if matrices else None


def write_lora(lora: LoRA, backbone: Backbone) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return PEFT's config and tensors for a LoRA of ours.

    RAISES (FormatError): P513 if layers of the backbone share their weights.
    """
    matrices = named_matrices(lora, backbone)
    linear_layers = backbone.rule.linear_layers(backbone.rule.layers(backbone.model)[0])
    config = {
        "peft_type": "LORA",
        "task_type": "FEATURE_EXTRACTION",
        "base_model_name_or_path": backbone.source.name,
        "revision": backbone.source.revision,
        "inference_mode": True,
        "r": lora.rank,
        "lora_alpha": lora.rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": any(isinstance(module, Conv1D) for module in linear_layers),
        "use_rslora": False,
        "target_modules": list(matrices),
    }
    tensors = {}
    for name, (down, up) in matrices.items():
        tensors[f"{START}{name}{DOWN}"] = down.contiguous()
        tensors[f"{START}{name}{UP}"] = up.T.contiguous()
    return config, tensors


def _scaled(config: Mapping[str, Any], module: str, down: torch.Tensor, up: torch.Tensor, path: Path) -> Matrices:
    """Return A, and B times the scale. In PEFT both are weights of a Linear, even for a Conv1D."""
    if down.dim() != 2 or up.dim() != 2 or len(down) != up.shape[1] or not len(down):
        raise ValueError(f"the shapes of {module}, {tuple(down.shape)} and {tuple(up.shape)}, do not fit each other")
    rank = len(down)
    if not config.get("rank_pattern") and config["r"] != rank:
        raise ValueError(f"its config says r = {config['r']!r}, and {module} has the rank {rank}")
    alpha = float(_by_pattern(config.get("alpha_pattern") or {}, module, config["lora_alpha"], path))
    scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    return down, up.T * scale


def _by_pattern(patterns: Mapping[str, Any], module: str, default: Any, path: Path) -> Any:
    """Return the value of the first pattern that a module's name ends with.

    In PEFT patterns are regular expressions. Those of foreign files are not run here.
    """
    for pattern, value in patterns.items():
        if re.fullmatch(r"[\w.]+", pattern) is None:
            raise FormatError(Errors.P504.format(path=path, feature=f"the regular expression {pattern!r}"))
        if f".{module}".endswith(f".{pattern}"):
            return value
    return default


def _refuse_features(config: Mapping[str, Any], path: Path) -> None:
    changing = [name for name in CHANGING if config.get(name)]
    if config.get("bias", "none") != "none":
        changing.append("bias")
    start = config.get("init_lora_weights", True)
    if start not in PLAIN_STARTS:
        changing.append("init_lora_weights")
    if changing:
        feature = ", ".join(f"{name} = {config[name]!r:.100}" for name in changing)
        raise FormatError(Errors.P504.format(path=path, feature=feature))
