"""What is read: a document with its other fields, or what cannot be read and why; and what the user says about fields.

`number` counts the lines, rows, Docs or files of an input file or folder from 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spacy.tokens import Doc

from ..corpora.text import shorten
from ..errors import Errors, PTuningError

ROLES = ("text", "annotations", "keep")


@dataclass(frozen=True)
class Columns:
    """Names of fields.

    text (str): That with the text.
    annotations (str): That which annotations are written to.
    keep (tuple[str, ...] | None): The others that are carried through; None for all.
    """

    text: str = "text"
    annotations: str = "annotations"
    keep: tuple[str, ...] | None = None

    @classmethod
    def parse(cls, entries: Sequence[str]) -> Columns:
        """Return what entries such as "text=body" say. RAISES (PTuningError): P820."""
        given: dict[str, Any] = {}
        for entry in entries:
            role, _, name = entry.partition("=")
            if role not in ROLES or not name:
                raise PTuningError(Errors.P820.format(got=entry, expected=", ".join(f"{role}=NAME" for role in ROLES)))
            given[role] = tuple(part.strip() for part in name.split(",")) if role == "keep" else name
        return cls(**given)

    @property
    def read(self) -> list[str] | None:
        """The fields that have to be read; None for all."""
        return None if self.keep is None else list(dict.fromkeys([self.text, *self.keep]))


@dataclass(frozen=True)
class Record:
    """A document.

    fields (Mapping[str, Any]): All that is carried through, the text included.
    doc (Doc | None): A Doc of its own words, with what its tasks are asked.
    """

    file: str
    number: int
    text: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    doc: Doc | None = None

    @property
    def asked(self) -> str | Doc:
        """What a pipeline annotates."""
        return self.text if self.doc is None else self.doc


@dataclass(frozen=True)
class Bad:
    """What cannot be read or annotated. number (int | None): None for the whole file. n_records (int): How many."""

    file: str
    number: int | None
    reason: str
    n_records: int = 1


def make_record(file: str, number: int, values: Mapping[str, Any], columns: Columns) -> Record | Bad:
    """Return the record of an object or a row, or why it has none."""
    text = values.get(columns.text)
    if not isinstance(text, str):
        names = ", ".join(map(str, values)) or "none"
        got = f"a {type(text).__name__}" if columns.text in values else f"none; its fields: {shorten(names)}"
        return Bad(file, number, f"expected a text in the field {columns.text!r}, got {got}")
    if columns.annotations in values:
        reason = f"it has a field {columns.annotations!r} already; name another with --column annotations=NAME"
        return Bad(file, number, reason)
    read = columns.read
    return Record(file, number, text, values if read is None else {key: values[key] for key in read if key in values})
