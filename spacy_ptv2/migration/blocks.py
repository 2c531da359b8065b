"""Finds blocks and follows variables in a config that is neither interpolated nor resolved.

Thinc keeps a variable as its text ("${paths.train}"), and text around variables in its quotes ('"${paths.models}/x"').
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

Place = tuple[str, ...]
VARIABLE = re.compile(r"\$\{[\w.:]+\}")
NOTHING = object()  # in place of the value of a setting that is not there
DEEPEST = 20  # variables that lead to variables


def walk(block: dict[str, Any], place: Place = ()) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yield every block inside a block, outer ones first, with where it is. Blocks may be changed meanwhile."""
    yield place, block
    for key, value in list(block.items()):
        if isinstance(value, dict):
            yield from walk(value, (*place, key))


def function_of(block: Any) -> str | None:
    """Return the name of the registered function that a block names; None if it names none."""
    names = [value for key, value in block.items() if key.startswith("@")] if isinstance(block, dict) else []
    return names[0] if names and isinstance(names[0], str) else None


def dotted(*place: str) -> str:
    """Return the name of a setting as `spacy train` takes it."""
    return ".".join(place)


def value_of(config: Mapping[str, Any], value: Any, depth: int = DEEPEST) -> Any:
    """Return what a value is once its variables are filled in; `NOTHING` if one leads nowhere, or in a circle.

    config (Mapping[str, Any]): The whole config that the value is from.
    """
    variables = VARIABLE.findall(value) if isinstance(value, str) else []
    if not variables:
        return value
    led = {variable: value_of(config, look_up(config, variable), depth - 1) for variable in variables if depth}
    if not led or any(target is NOTHING for target in led.values()):
        return NOTHING
    if value in led:
        return led[value]
    return VARIABLE.sub(lambda found: str(led[found[0]]), value).strip('"')


def look_up(config: Mapping[str, Any], variable: str) -> Any:
    """Return what a variable ("${section.name}") stands for, with its own variables; `NOTHING` if nothing."""
    found: Any = config
    for key in re.split(r"[.:]", variable.removeprefix("${").removesuffix("}")):
        found = found.get(key, NOTHING) if isinstance(found, Mapping) else NOTHING
    return found


def repair_variables(config: dict[str, Any], before: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Put values in place of variables that led to something in a config before it was changed, and no longer do.

    config (dict[str, Any]): The changed config; it is changed further.
    before (Mapping[str, Any]): As it was.
    YIELDS: The name of each setting, its value before and its value now.
    """
    for place, block in walk(config):
        for key, value in block.items():
            repaired = _repair(value, config, before)
            if repaired != value:
                block[key] = repaired
                yield dotted(*place, key), value, repaired


def _repair(value: Any, config: Mapping[str, Any], before: Mapping[str, Any]) -> Any:
    for _ in range(DEEPEST):
        variables = VARIABLE.findall(value) if isinstance(value, str) else []
        led = {variable: look_up(before, variable) for variable in variables if look_up(config, variable) is NOTHING}
        led = {variable: target for variable, target in led.items() if target is not NOTHING}
        if not led:
            break
        if value in led:
            value = deepcopy(led[value])
            continue
        for variable, target in led.items():
            value = value.replace(variable, target if isinstance(target, str) else json.dumps(target))
    return value
