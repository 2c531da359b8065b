"""Gradient checkpointing of a backbone's layers: activations are recomputed in the backward pass.

That of transformers is not used because it (1) is missing in some families, (2) needs the model in train mode and so
with dropout, and (3) runs the second forward pass outside any context, without the adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

Recompute = Callable[[], AbstractContextManager[None]]

_recompute: ContextVar[Recompute | None] = ContextVar("spacy_ptv2_recompute", default=None)


@contextmanager
def checkpointed(recompute: Recompute) -> Iterator[None]:
    """Keep only the inputs of each layer in calls made inside this context, in this thread only.

    recompute (Callable): Returns the context in which a layer runs again in the backward pass: its adapter, its mode.
    """
    token = _recompute.set(recompute)
    try:
        yield
    finally:
        _recompute.reset(token)


def call_layer(forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a layer's own forward, with checkpointing inside `checkpointed`."""
    recompute = _recompute.get()
    if recompute is None or not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    return checkpoint(forward, *args, use_reentrant=False, context_fn=lambda: (nullcontext(), recompute()), **kwargs)
