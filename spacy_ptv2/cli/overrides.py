"""Reads overrides of settings, refuses those that a config cannot have, and says which one may be meant.

spaCy accepts `--paths.tain x.spacy` and adds a setting that nothing reads. In: a config and the overrides of a command
line. Out: nothing, or an error. Where any name can be right, as in [training.optimizer.learn_rates], all are accepted.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.util import registry
from thinc.api import Config

from ..errors import Errors, PTuningError

VARIABLE = re.compile(r"\$\{([\w.]+)[.:](\w+)\}")
BARE_POINT = re.compile(r"[+-]?(\d+\.|\.\d+)([eE][+-]?\d+)?")


def read_numbers(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the overrides with ".5" and "5." read as numbers. They are none in JSON, so spaCy takes them for text.

    overrides (Mapping[str, Any]): As spaCy reads them, by the settings' names with dots.
    """
    return {
        key: float(value) if isinstance(value, str) and BARE_POINT.fullmatch(value) else value
        for key, value in overrides.items()
    }


def check_overrides(config: Config, overrides: Mapping[str, Any], path: Path, *, mark: str = "--") -> None:
    """Check that each override is of a setting that the config has, or may have.

    config (Config): As it is in the file, not interpolated.
    overrides (Mapping[str, Any]): By the settings' names with dots. mark (str): Before these names in the message.
    RAISES (PTuningError): P806 for the first one that is not.
    """
    for key in overrides:
        section, _, name = key.rpartition(".")
        block = _section(config, section)
        if block is None:
            choices = list(_settings(config))
        else:
            names = None if name in block else _possible_names(config, section, block)
            if names is None or name in names:
                continue
            choices = [f"{section}.{name}" for name in {**block, **dict.fromkeys(names)}]
        close = get_close_matches(key, choices, n=1)
        hint = f"Did you mean {mark}{close[0]}?" if close else "Correct it, or add the setting to the file."
        raise PTuningError(Errors.P806.format(path=path, got=f"{mark}{key}", hint=hint))


def _section(config: Mapping[str, Any], section: str) -> Mapping[str, Any] | None:
    block: Any = config
    for part in section.split("."):
        block = block.get(part) if isinstance(block, Mapping) else None
    return block if isinstance(block, Mapping) else None


def _settings(block: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in block.items():
        if isinstance(value, Mapping):
            yield from _settings(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def _possible_names(config: Config, section: str, block: Mapping[str, Any]) -> set[str] | None:
    """Return the names that a section may have besides those in the file; None for any."""
    if "." not in section:
        variables = VARIABLE.findall(config.to_str(interpolate=False))
        return {*Language.default_config.get(section, ()), *(name for place, name in variables if place == section)}
    function = next((key for key in block if key.startswith("@")), None)
    if function is None:
        return None
    try:
        parameters = inspect.signature(registry.get(function[1:], block[function])).parameters.values()
    except ValueError:  # there is no such function: spaCy says so when it builds the config
        return None
    has_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    return None if has_any else {parameter.name for parameter in parameters}
