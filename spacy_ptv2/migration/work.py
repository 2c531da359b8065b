"""One block on its way from another package's settings to ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .blocks import NOTHING, dotted, value_of
from .report import Report


@dataclass
class Work:
    """One block that is being migrated. Its settings are taken one after the other; those that nobody took are lost.

    config (Mapping[str, Any]): The whole config as it was. report (Report): What is noted.
    where (str): The block's name with dots.
    old (dict[str, Any]): Its settings that were not taken yet. new (dict[str, Any]): Our block.
    """

    config: Mapping[str, Any]
    report: Report
    where: str
    old: dict[str, Any]
    new: dict[str, Any]

    def take(self, name: str) -> Any:
        """Return a setting, with its variables, and remove it from the old block; `NOTHING` if it is not there."""
        return self.old.pop(name, NOTHING)

    def drop(self, name: str, why: str) -> None:
        """Take a setting that is not needed here, if it is there."""
        value = self.take(name)
        if value is not NOTHING:
            self.report.dropped(self.setting(name), value, why)

    def setting(self, *names: str) -> str:
        """Return the full name of a setting of the block."""
        return dotted(self.where, *names)

    def value(self, given: Any) -> Any:
        """Return a setting's value once its variables are filled in."""
        return value_of(self.config, given)

    def end(self) -> None:
        """Note the settings that are left."""
        for name, value in self.old.items():
            if not name.startswith("@"):
                self.report.lost(self.setting(name), value, "It has no counterpart.")
