"""The layers that all adapters of a pass share: run once per window, or with a cache once for all epochs.

In: a batch of windows and the first layer that differs. Out: the second `Stage`, in which the layers below that one
return what they computed before, for the rows at hand.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..injection.stages import Stage
from .batches import PieceBatch
from .hidden_state_cache import HiddenStateCache

RunRows = Callable[[Stage, torch.Tensor], None]  # runs the first stage for some windows of a batch


def run_common(run: RunRows, batch: PieceBatch, rows: torch.Tensor, first: int) -> Stage:
    """Return the second stage for some windows of a batch. rows (Tensor): May repeat a window. Shape: (rows,)"""
    stage = Stage(first)
    run(stage, torch.arange(len(batch.ids), device=batch.ids.device))
    return stage.continued(rows)


def recall_common(
    run: RunRows, batch: PieceBatch, rows: torch.Tensor, first: int, cache: HiddenStateCache, settings: str
) -> Stage:
    """Return the same as `run_common`, reading hidden states from the cache and adding to it those that it lacks.

    settings (str): Everything that determines the hidden states in addition to the pieces and `first`.
    """
    settings = f"{first} {settings} "
    lengths = batch.mask.sum(dim=1).tolist()
    read = batch.ids if batch.types is None else torch.stack([batch.ids, batch.types], dim=-1)
    keys = [
        settings.encode() + pieces[:length].numpy().tobytes()
        for pieces, length in zip(read.cpu(), lengths, strict=True)
    ]
    missing = [row for row, key in enumerate(keys) if key not in cache]
    parts: dict[int, torch.Tensor] = {}
    if missing:
        stage = Stage(first)
        run(stage, torch.tensor(missing, device=batch.ids.device))
        computed = stage.states()
        if computed is None:  # such states are never cached, so the missing windows are all windows
            return stage.continued(rows)
        cache.forms[settings] = stage.with_states(torch.empty(first, 0))
        for row, states in zip(missing, computed.unbind(1), strict=True):
            parts[row] = states[:, : lengths[row]]
            cache.keep(keys[row], parts[row])
    for row, key in enumerate(keys):
        if row not in parts:
            parts[row] = cache[key]
    whole = parts[0].new_zeros((first, *batch.ids.shape, parts[0].shape[-1]), device=batch.ids.device)
    for row, states in parts.items():
        whole[:, row, : states.shape[1]] = states
    return cache.forms[settings].with_states(whole).continued(rows)
