"""Writes the documents of a shard: JSON lines, Parquet or .spacy.

In: records, each with a Doc of every task. Out: files that are not in their place yet. JSON lines and Parquet have a
record's fields and its annotations, the JSON of services, by task. Parquet has that JSON as text, so that the types of
its columns never differ between shards.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import srsly
from spacy.tokens import Doc, DocBin

from ..serving.annotations import to_json
from .doc_bins import quick_msgpack
from .pipelines import Found
from .records import Record

RECORD = "record"  # the key of doc.user_data that has the fields of a record


class Writer(Protocol):
    """Takes the documents of a shard, and writes them once it has all."""

    def add(self, record: Record, found: Found) -> None:
        """Take a document."""

    def close(self) -> None:
        """Write them."""


def annotations_of(found: Found) -> dict[str, Any]:
    """Return what each task found, as services answer."""
    return {task: to_json(doc, task) for task, doc in found.items()}


def dump(value: Any) -> str:
    """Return a value as JSON, that of other types as text, numbers that JSON lacks as null."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_as_text)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, default=_as_text)


def write_lines(lines: Iterable[str], path: Path) -> None:
    """Write a file of lines."""
    with path.open("w", encoding="utf8", newline="\n") as stream:
        stream.writelines(f"{line}\n" for line in lines)


class JsonLinesWriter:
    """Writes all records at the end. annotations (str): The field for annotations."""

    def __init__(self, path: Path, annotations: str) -> None:
        self._path, self._annotations = path, annotations
        self._rows: list[str] = []

    def add(self, record: Record, found: Found) -> None:
        """Take a record."""
        self._rows.append(dump({**record.fields, self._annotations: annotations_of(found)}))

    def close(self) -> None:
        """Write the file."""
        write_lines(self._rows, self._path)


class ParquetWriter:
    """Writes all records at the end. schema (pyarrow.Schema | None): Types of fields; None for texts and JSON."""

    def __init__(self, path: Path, annotations: str, schema: Any = None) -> None:
        self._path, self._annotations, self._schema = path, annotations, schema
        self._rows: list[dict[str, Any]] = []

    def add(self, record: Record, found: Found) -> None:
        """Take a record."""
        fields: Mapping[str, Any] = record.fields
        if self._schema is None:
            fields = {name: _text_or_json(value) for name, value in fields.items()}
        self._rows.append({**fields, self._annotations: dump(annotations_of(found))})

    def close(self) -> None:
        """Write the file."""
        import pyarrow
        import pyarrow.parquet

        names = {name for row in self._rows for name in row} - {self._annotations}
        texts = [pyarrow.field(name, pyarrow.string()) for name in sorted(names)]
        schema = pyarrow.schema(
            [*(texts if self._schema is None else self._schema), pyarrow.field(self._annotations, pyarrow.string())]
        )
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(self._rows, schema=schema), self._path)


class DocWriter:
    """Writes Docs at the end, a file for each task; `doc.user_data["record"]` has the fields but the text."""

    def __init__(self, paths: Mapping[str, Path], text: str) -> None:
        self._paths, self._text = paths, text
        self._bins = {task: DocBin(store_user_data=True) for task in paths}

    def add(self, record: Record, found: Found) -> None:
        """Take a document."""
        fields = {name: value for name, value in record.fields.items() if name != self._text}
        with quick_msgpack():
            for task, doc in found.items():
                doc.user_data[RECORD] = json.loads(dump(fields))
                self._bins[task].add(_storable(doc))

    def close(self) -> None:
        """Write the files."""
        for task, path in self._paths.items():
            path.write_bytes(self._bins[task].to_bytes())


def _storable(doc: Doc) -> Doc:
    """Return a Doc without what components keep on it for each other and no file can have."""
    for key, value in list(doc.user_data.items()):
        try:
            srsly.msgpack_dumps(value)
        except TypeError:
            del doc.user_data[key]
    return doc


def _text_or_json(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else dump(value)


def _as_text(value: Any) -> str:
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(own) for key, own in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(own) for own in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
