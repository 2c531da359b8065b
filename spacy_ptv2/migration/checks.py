"""Refuses what cannot be migrated, and says what it is."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from spacy.util import CONFIG_SECTION_ORDER

from ..errors import Errors, PTuningError, Warnings
from .blocks import NOTHING, Place, dotted, function_of, value_of, walk
from .foreign import FACTORIES, is_foreign, kind_of
from .listeners import find_listeners


def check_known(config: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Check that every transformer and listener of another package is one that we know, where we expect it.

    config (Mapping[str, Any]): The config, blocks written out. before (Mapping[str, Any]): As it was.
    RAISES (PTuningError): P766.
    """
    components = config.get("components", {})
    unknown = [(place, function_of(block)) for place, block in _unknown(components, ("components",))]
    for name, component in components.items():
        model = component.get("model", NOTHING)
        is_shared = value_of(before, component.get("factory")) in FACTORIES
        if model is not NOTHING and is_shared != (kind_of(model) == "transformer"):
            unknown.append((("components", name, "model"), f"{function_of(model)} in {component.get('factory')}"))
    _refuse(dict(unknown))


def check_rest(config: Mapping[str, Any]) -> None:
    """Check that nothing of other packages is left in a migrated config. Sections of one's own are not looked at.

    RAISES (PTuningError): P766.
    """
    sections = {name: config[name] for name in CONFIG_SECTION_ORDER if name in config}
    left = {place: function_of(block) for place, block in walk(sections) if is_foreign(function_of(block))}
    _refuse(left)


def nothing_found(config: Mapping[str, Any]) -> PTuningError:
    """Return the error for a config without a transformer that can be migrated."""
    if taken := ", ".join(f"{name} from {pipeline}" for name, pipeline in _sourced(config).items()):
        return PTuningError(Errors.P763.format(got=taken))
    if listeners := find_listeners(config):
        return PTuningError(Errors.P762.format(where=dotted(*listeners[0]), got="*", expected="none"))
    found = sorted({name for _, block in walk(config.get("components", {})) if (name := function_of(block))})
    return PTuningError(Errors.P760.format(got=", ".join(found) or "no architectures"))


def warn_of_sourced(config: Mapping[str, Any]) -> None:
    """Warn (PW41) of components that may listen to a transformer of the pipeline that they are taken from."""
    for name, pipeline in _sourced(config).items():
        warnings.warn(Warnings.PW41.format(name=name, pipeline=pipeline), stacklevel=3)


def _unknown(block: dict[str, Any], place: Place) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yield architectures of other packages of no known kind; what is inside of known ones is looked at with them."""
    if kind_of(block) is not None:
        return
    if is_foreign(block.get("@architectures")):
        yield place, block
    for key, value in block.items():
        if isinstance(value, dict):
            yield from _unknown(value, (*place, key))


def _refuse(found: Mapping[Place, Any]) -> None:
    if found:
        named = ", ".join(f"{dotted(*place)} = {value}" for place, value in found.items())
        raise PTuningError(Errors.P766.format(got=named))


def _sourced(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the pipelines that components are taken from, by the names of those that may listen to a transformer."""
    taken = {name: block for name, block in config.get("components", {}).items() if "source" in block}
    return {name: str(block["source"]) for name, block in taken.items() if "replace_listeners" not in block}
