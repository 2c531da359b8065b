"""What a folder searches: config, space and seed, written once, so that a search only continues as what it was.

In: what is to be searched, and its folder. Out: `tuning.json` there, or an error that says what differs.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from difflib import unified_diff
from pathlib import Path
from typing import Any

from thinc.api import Config

from ..errors import Errors, PTuningError
from ..reading import read_object
from ..writing import replacing_file
from .results import RESULTS
from .search import JOURNAL
from .space import Space

RECORD = "tuning.json"
MOST_LINES, MOST_CHARACTERS = 20, 200  # of a difference that are shown


def describe(config: Config, space: Space, seed: int) -> dict[str, Any]:
    """Return what decides which trials there are, as JSON. config (Config): Not interpolated."""
    return {
        "config": config.to_str(interpolate=False),
        "space": {setting: asdict(distribution) for setting, distribution in space.items()},
        "seed": seed,
    }


def keep_to_record(folder: Path, described: dict[str, Any], known: Collection[str]) -> None:
    """Write what a folder searches, if it is new. Until a first trial has ended that may still change.

    known (Collection[str]): Names of files that a new folder may have.
    RAISES (PTuningError): P845 if the folder searches something else, P847 if its record is damaged, P848 if it has
        files and no record: what a search removes from its folder must be its own.
    """
    path = folder / RECORD
    described = json.loads(json.dumps(described))  # as it is read again
    if path.exists():
        differences = _compare(path, described)
        if not differences:
            return
        if (folder / RESULTS).exists():
            raise PTuningError(Errors.P845.format(path=folder, differences=_shorten(differences)))
        (folder / JOURNAL).unlink(missing_ok=True)
    elif others := sorted(file.name for file in folder.iterdir() if file.name not in known):
        raise PTuningError(Errors.P848.format(path=folder, got=", ".join(others)))
    with replacing_file(path) as new:
        new.write_text(json.dumps(described, indent=2), encoding="utf8")


def _compare(path: Path, described: dict[str, Any]) -> list[str]:
    """Return what differs from a record. RAISES (PTuningError): P847."""
    try:
        return list(_differences(read_object(path), described))
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise PTuningError(Errors.P847.format(path=path, error=f"{type(error).__name__}: {error}")) from error


def _shorten(lines: Sequence[str]) -> str:
    more = [f"({len(lines) - MOST_LINES} lines more)"] if len(lines) > MOST_LINES else []
    return "\n".join([*(line[:MOST_CHARACTERS] for line in lines[:MOST_LINES]), *more])


def is_tuning(folder: Path) -> bool:
    """Return whether a folder is that of a search."""
    return (folder / RECORD).is_file()


def _differences(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """Yield what differs, - before and + now."""
    for name, text in (("config", str), ("space", _by_setting), ("seed", str)):
        lines = unified_diff(text(before[name]).splitlines(), text(now[name]).splitlines(), n=0, lineterm="")
        changed = [line for line in lines if not line.startswith(("---", "+++"))]
        if changed:
            yield f"{name}:"
            yield from changed


def _by_setting(space: dict[str, Any]) -> str:
    return "\n".join(f"{setting}: {json.dumps(given)}" for setting, given in sorted(space.items()))
