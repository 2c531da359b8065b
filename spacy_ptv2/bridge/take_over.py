"""Takes parts of one trained adapter over into another, over the same backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..errors import Errors, PTuningError
from ..parameter_groups import ADAPTER_PARTS, part_of
from .adapter_shim import AdapterShim

LAYERED = ("prompt", "lora")  # the parts that are in the layers of the prompt


def take_over(shim: AdapterShim, trained: AdapterShim, parts: Sequence[str] | None, source: str) -> None:
    """Give an adapter the trained parts of another.

    parts (Sequence[str] | None): See `training/init_adapter.py`. source (str): Where it is from, for messages.
    RAISES (PTuningError): P776, P777, P778.
    """
    if shim.backbone.fingerprint != trained.backbone.fingerprint:
        names = trained.source.name, shim.source.name
        raise PTuningError(Errors.P777.format(source=source, got=names[0], expected=names[1]))
    state, of_source = shim.export_state(), trained.export_state()
    present, theirs = _names_by_part(state), _names_by_part(of_source)
    chosen = parts or [part for part in ADAPTER_PARTS if present[part] and theirs[part]]
    header = shim.header()
    layout: dict[str, Any] = header["adapter"]
    other = trained.header()["adapter"]
    for part in chosen:
        if not present[part] or present[part] != theirs[part]:
            raise PTuningError(Errors.P776.format(part=part, source=source))
        for name in theirs[part]:
            rows = of_source[name].clone()
            if part == "word_shape":  # a layout that marks spans has one class more
                n_common = min(len(rows), len(state[name]))
                rows = torch.cat([rows[:n_common], torch.zeros_like(state[name])[n_common:]])
            state[name] = rows
    if layout["layers"] != other["layers"] and any(present[part] and part not in chosen for part in LAYERED):
        raise PTuningError(Errors.P778.format(source=source, got=other["layers"], expected=layout["layers"]))
    if "prompt" in chosen:
        layout.update(layers=other["layers"], lengths=other["lengths"])
    if "lora" in chosen:
        layout["lora_rank"] = other["lora_rank"]
    shim.import_state(state, header)


def _names_by_part(state: Mapping[str, torch.Tensor]) -> dict[str, set[str]]:
    """Return the names of the tensors of each part that are not empty."""
    return {part: {n for n, t in state.items() if part_of(n) == part and t.numel()} for part in ADAPTER_PARTS}
