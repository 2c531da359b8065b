"""Turns listeners of other packages into ours, and moves their pooling to the transformer that they listen to.

There a token's pieces become its vector once for all listeners, and each of the others has a pooling of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from ..errors import Errors, PTuningError, Warnings
from .blocks import NOTHING, Place, dotted, function_of, walk
from .foreign import kind_of
from .model_settings import take_grad_factor
from .recipe import Recipe
from .report import Report
from .work import Work

ANY = "*"
NEEDS_WIDTH = "spacy.EntityLinker."  # architectures that ask for the width of vectors while they are built


def find_listeners(config: Mapping[str, Any]) -> list[Place]:
    """Return where listeners of other packages are."""
    blocks = walk(config.get("components", {}), ("components",))
    return [place for place, block in blocks if kind_of(block) == "listener"]


def migrate_listeners(
    config: dict[str, Any],
    before: Mapping[str, Any],
    transformers: Mapping[str, dict[str, Any]],
    recipe: Recipe,
    report: Report,
) -> None:
    """Migrate all listeners, and the pooling of the transformers.

    config (dict[str, Any]): The config that is changed. before (Mapping[str, Any]): As it was.
    transformers (Mapping[str, dict]): Model blocks of the migrated transformers, by the names of their components.
    RAISES (PTuningError): P762, P764. Warns: PW40, PW42.
    """
    poolings: dict[str, list[Any]] = {name: [] for name in transformers}
    for place in find_listeners(config):
        work = Work(before, report, dotted(*place), *_old_and_new(config, place, recipe))
        upstream = work.take("upstream")
        upstream = ANY if upstream is NOTHING else upstream
        heard = _upstream(work, transformers, work.value(upstream))
        work.new["upstream"] = upstream
        poolings[heard].append(work.value(work.take("pooling")))
        _migrate(work, heard)
        if (function_of(look_at(config, place[:-1])) or "").startswith(NEEDS_WIDTH):
            warnings.warn(Warnings.PW42.format(setting=work.setting("width")), stacklevel=2)
    for name, given in poolings.items():
        _set_pooling(dotted("components", name, "model", "pooling"), transformers[name], given, report)


def look_at(config: Mapping[str, Any], place: Place) -> Any:
    """Return the block at a place."""
    block: Any = config
    for key in place:
        block = block[key]
    return block


def _old_and_new(config: dict[str, Any], place: Place, recipe: Recipe) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings of a listener's block, and the same block with ours in it."""
    block = look_at(config, place)
    old = dict(block)
    block.clear()
    block.update(deepcopy(recipe.listener))
    return old, block


def _migrate(work: Work, upstream: str) -> None:
    why = f"It takes its vectors, pooled and of the right width, from {upstream}."
    work.report.changed(work.where, function_of(work.old), function_of(work.new), why)
    take_grad_factor(work)
    work.take("width")
    work.drop("weighting", "The adapter has a learned mix of all layers.")
    work.end()


def _upstream(work: Work, transformers: Mapping[str, Any], name: Any) -> str:
    """Return the name of the transformer that a listener listens to."""
    if name == ANY and len(transformers) == 1:
        return next(iter(transformers))
    if name == ANY and transformers:
        raise PTuningError(Errors.P764.format(setting=work.setting("upstream"), names=", ".join(transformers)))
    if name not in transformers:
        expected = ", ".join(transformers) or "none"
        raise PTuningError(Errors.P762.format(where=work.where, got=name, expected=expected))
    return str(name)


def _set_pooling(setting: str, transformer: dict[str, Any], given: list[Any], report: Report) -> None:
    given = [pooling for pooling in given if pooling is not NOTHING]
    if not given or given[0] == transformer["pooling"]:
        return
    if any(pooling != given[0] for pooling in given):
        poolings = ", ".join(sorted({str(function_of(pooling)) for pooling in given}))
        report.lost(setting, poolings, f"All listeners share one, {function_of(transformer['pooling'])}.")
        return
    transformer["pooling"] = deepcopy(given[0])
    report.changed(setting, NOTHING, given[0], "The listeners' own, moved: it is done once for all of them.")
