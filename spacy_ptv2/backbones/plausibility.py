"""Checks that a config and its weights can belong together, before a model of any size is built.

In: a sealed folder. Out: nothing, or an error that names the setting. With one number a config can ask for a million
layers, or for more memory than there is.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import safe_open
from transformers import modeling_utils

from ..errors import BackboneError, Errors
from ..injection.family import Family
from .sealing import CONFIG, read_config

LEAST_PARTS = 512  # so many layers, heads and so on are always allowed, however few tensors there are
LEAST_POSITIONS = 1 << 21
SLACK = 1 << 24  # how many numbers need not be in the weights: masks, tables of positions
PACKED = 4  # how many numbers quantized weights may pack into one


def check_sizes(folder: Path, config: Any, rule: Family) -> None:
    """Refuse a config that describes a larger model than the weights hold.

    RAISES (BackboneError): P120 (one count is too large), P121 (the whole model is).
    """
    n_tensors, n_numbers = _count_saved(folder)
    _check_counts(read_config(folder), folder, max(LEAST_PARTS, n_tensors), max(LEAST_POSITIONS, n_numbers))
    with torch.device("meta"), getattr(modeling_utils, "no_init_weights", nullcontext)():
        model_class = getattr(transformers, rule.model_class)
        model = getattr(model_class, "from_config", model_class)(config)
    described = sum(tensor.numel() for tensor in (*model.parameters(), *model.buffers()))
    if described > PACKED * n_numbers + SLACK:
        raise BackboneError(Errors.P121.format(path=folder / CONFIG, got=described, expected=n_numbers))


def _count_saved(folder: Path) -> tuple[int, int]:
    """Return how many tensors and numbers the weights hold, according to the headers of their files."""
    sizes = []
    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="pt") as opened:
            sizes += [math.prod(opened.get_slice(name).get_shape()) for name in opened.keys()]  # noqa: SIM118
    return len(sizes), sum(sizes)


def _check_counts(settings: dict[str, Any], folder: Path, most_parts: int, most_positions: int) -> None:
    for key, value in settings.items():
        if type(value) is not int:
            continue
        is_count = key.startswith("num_") or "layer" in key
        most = most_parts if is_count else most_positions if "position" in key else None
        if most is not None and value > most:
            problem = f"{key} is {value}, expected at most {most} with these weights"
            raise BackboneError(Errors.P120.format(path=folder / CONFIG, problem=problem))
