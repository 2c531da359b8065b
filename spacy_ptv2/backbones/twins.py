"""A second tree of modules over the same weights.

Whether dropout runs is a switch on each module. With a tree of its own for training, no switch of the shared model is
ever touched, so another thread may predict with it at the same time.
"""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def make_twin(module: Module) -> Module:
    """Return a copy of a module that shares its parameters, buffers and configs, and every leaf that has weights.

    What was put in the place of a module's forward is not taken over.
    """
    configs = [part.config for part in module.modules() if hasattr(part, "config")]
    shared = (*module.parameters(), *module.buffers(), *configs)
    leaves = [leaf for leaf in module.modules() if not list(leaf.children()) and list(leaf.parameters())]
    twin = copy.deepcopy(module, {id(part): part for part in (*shared, *leaves)})
    for part in twin.modules():
        part.__dict__.pop("forward", None)
    return twin
