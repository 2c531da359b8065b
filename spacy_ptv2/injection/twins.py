"""A second tree of modules over the same weights, or over a copy of them.

Each module has a switch for dropout. Because training has its own tree, no switch of the shared model is ever touched,
and another thread may predict with it at the same time.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, TypeVar

from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def make_twin(module: Module) -> Module:
    """Return a copy of a module that shares its parameters, buffers and configs, and every leaf that has weights.

    A patched forward is not copied, but shared leaves keep theirs.
    """
    leaves = [leaf for leaf in module.modules() if not list(leaf.children()) and list(leaf.parameters())]
    return _copy_around(module, (*module.parameters(), *module.buffers(), *_configs(module), *leaves))


def make_copy(module: Module) -> Module:
    """Return a copy of a module with its own weights and without patches of its forward."""
    return _copy_around(module, _configs(module))


def _configs(module: nn.Module) -> list[Any]:
    return [part.config for part in module.modules() if hasattr(part, "config")]


def _copy_around(module: Module, shared: Iterable[Any]) -> Module:
    kept = {id(part): part for part in shared}
    copied = copy.deepcopy(module, dict(kept))
    for part in copied.modules():
        if id(part) not in kept:
            part.__dict__.pop("forward", None)
    return copied
