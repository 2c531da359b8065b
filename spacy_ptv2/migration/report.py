"""What a migration changed: one entry for each setting, with its value before and after and the reason."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, field
from typing import Any

from ..errors import Warnings
from .blocks import NOTHING, function_of


@dataclass(frozen=True)
class Change:
    """One change. setting (str): Its name with dots. before, after (str): Its values, "-" for none. why (str)."""

    setting: str
    before: str
    after: str
    why: str


@dataclass
class Report:
    """The changes of a migration, in the order in which they were made."""

    changes: list[Change] = field(default_factory=list)

    def changed(self, setting: str, before: Any, after: Any, why: str) -> None:
        """Note that a setting has another value, or is somewhere else, which `after` then begins with."""
        self.changes.append(Change(setting, describe(before), describe(after), why))

    def dropped(self, setting: str, before: Any, why: str) -> None:
        """Note that a setting is not needed here."""
        self.changed(setting, before, NOTHING, why)

    def lost(self, setting: str, before: Any, why: str) -> None:
        """Note that what a setting did has no counterpart here. Warns (PW40)."""
        self.dropped(setting, before, why)
        warnings.warn(Warnings.PW40.format(setting=setting, got=describe(before), why=why), stacklevel=2)


def describe(value: Any) -> str:
    """Return a value as one short text; of a block its function with its plain settings."""
    if value is NOTHING:
        return "-"
    if not isinstance(value, dict):
        return value if isinstance(value, str) else json.dumps(value, default=str)
    function = function_of(value)
    plain = {key: inner for key, inner in value.items() if not key.startswith("@") and not isinstance(inner, dict)}
    settings = ", ".join(f"{key} = {json.dumps(inner, default=str)}" for key, inner in plain.items())
    if function is None:
        return json.dumps(value, default=str)
    return f"{function} ({settings})" if settings else function
