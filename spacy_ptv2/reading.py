"""Reads JSON without trusting it: every JSON document that this package parses itself comes through here.

In: bytes or a path. Out: a document, or an `OSError` or `ValueError` that says what is wrong; the caller adds the file
and what to do. What Python's parser accepts but this package never writes is refused: unlimited nesting, NaN and
infinities, text that is not Unicode.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, TypeGuard

MAX_DEPTH = 100
MAX_BYTES = 1 << 26


def parse_json(data: bytes | str) -> Any:
    """Return a JSON document.

    RAISES (ValueError): If it is not JSON in UTF-8, is larger than `MAX_BYTES` or nested deeper than `MAX_DEPTH`, or
        contains NaN, an infinity or half of a surrogate pair.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"expected a JSON document of at most {MAX_BYTES:,} bytes, got {len(data):,}")
    try:
        text = data if isinstance(data, str) else data.decode("utf8")
        document = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    _check(document)
    return document


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether a value of JSON or of a config is a number, which true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def parse_object(data: bytes | str) -> dict[str, Any]:
    """Return a JSON document that is an object. RAISES (ValueError): As `parse_json`, and if it is not an object."""
    document = parse_json(data)
    if not isinstance(document, dict):
        raise ValueError(f"expected a JSON object, got {type(document).__name__}")
    return document


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file. RAISES (OSError, ValueError): As `parse_object`."""
    return parse_object(path.read_bytes())


def is_file(path: Path) -> bool:
    """Return whether there is a file; False also for names that no file can have, and for circular links."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Return whether there is a folder; otherwise as `is_file`."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


_TOO_DEEP = f"expected at most {MAX_DEPTH} levels of nesting"


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"expected finite numbers, got {name}")


def _check(document: Any) -> None:
    """Refuse deep nesting, infinities written as large numbers, and halves of surrogate pairs, without recursion."""
    level: list[Any] = [[document]]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for container in level:
            for value in [*container, *container.values()] if isinstance(container, dict) else container:
                if isinstance(value, (dict, list)):
                    inner.append(value)
                elif isinstance(value, str):
                    value.encode("utf8")  # a UnicodeEncodeError is a ValueError
                elif isinstance(value, float) and not math.isfinite(value):
                    _refuse_constant(str(value))
        if not inner:
            return
        level = inner
    raise ValueError(_TOO_DEEP)
