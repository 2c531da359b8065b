"""Entries of JSON files, and checks of their content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from ..errors import CorpusError, Errors
from .text import shorten

T = TypeVar("T")


@dataclass(frozen=True)
class Record:
    """One entry and its place: file, line and, in an array, its number."""

    place: str
    value: Any


def has(value: Any, *keys: str) -> bool:
    """Return whether a value is an object with these keys."""
    return isinstance(value, dict) and all(key in value for key in keys)


def fits(matches: Callable[[Any], bool], record: Record) -> bool:
    """Return whether an entry has a form. It does not if it has the keys but a different structure."""
    try:
        return matches(record.value)
    except (AttributeError, IndexError, KeyError, TypeError):
        return False


def guard(read: Callable[[Record], T], record: Record, name: str) -> T:
    """Read an entry, and refuse one whose structure differs from its form.

    RAISES (CorpusError): P013, and what `read` raises.
    """
    try:
        return read(record)
    except (AttributeError, IndexError, KeyError, TypeError):
        message = Errors.P013.format(place=record.place, expected=name, got=shorten(repr(record.value)))
        raise CorpusError(message) from None


def check(condition: bool, place: str, expected: str, got: object) -> None:
    """Refuse an entry that fails a condition of its form.

    RAISES (CorpusError): P013.
    """
    if not condition:
        raise CorpusError(Errors.P013.format(place=place, expected=expected, got=shorten(repr(got))))


def check_integers(place: str, *values: object) -> None:
    """Refuse offsets that are not integers.

    RAISES (CorpusError): P013.
    """
    is_good = all(isinstance(value, int) and not isinstance(value, bool) for value in values)
    check(is_good, place, "integers for the start and the end of an entity", values)


def check_label(place: str, value: object) -> str:
    """Return the label of an entity. It must be a text that is not empty.

    RAISES (CorpusError): P013, P025.
    """
    check(isinstance(value, str) and bool(value.strip()), place, "an entity with a label", value)
    return check_text(place, value)


def filled_text(record: Record, key: str) -> str:
    """Return a text of an entry that may not be empty.

    RAISES (CorpusError): P013, P025, P041.
    """
    text = check_text(record.place, record.value[key])
    if not text.strip():
        raise CorpusError(Errors.P041.format(place=record.place, column=key))
    return text


def check_text(place: str, value: object) -> str:
    """Return a value as text. It must be a string that can be encoded as UTF-8.

    RAISES (CorpusError): P013, P025.
    """
    if not isinstance(value, str):
        check(False, place, "a text", value)
    text = str(value)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise CorpusError(Errors.P025.format(place=place, at=error.start)) from None
    return text
