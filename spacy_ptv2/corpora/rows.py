"""Rows of a table with named columns: CSV, TSV, JSON lines or a JSON array, whatever the task.

In: a file. Out: rows as dicts, each with the place that messages name.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import CorpusError, Errors
from .records import Record
from .text import read_text, shorten


def read_rows(path: Path) -> list[Record]:
    """Read the rows of a file.

    RETURNS (list[Record]): Each a dict by the names of the columns, at least one.
    RAISES (CorpusError): P004, P005, P006, P011, P013.
    """
    text = read_text(path)
    start = text.lstrip()[:1]
    rows = list(
        _json_array(text, path) if start == "[" else _json_lines(text, path) if start == "{" else _csv(text, path)
    )
    if not rows:
        raise CorpusError(Errors.P004.format(path=path))
    return rows


def _json_array(text: str, path: Path) -> Iterator[Record]:
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise CorpusError(Errors.P011.format(place=path, kind="JSON", error=error)) from error
    for number, entry in enumerate(entries, start=1):
        yield _object(entry, f"{path}: entry {number}")


def _json_lines(text: str, path: Path) -> Iterator[Record]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                entry = json.loads(line)
            except ValueError as error:
                place = f"{path}:{number}"
                raise CorpusError(Errors.P011.format(place=place, kind="JSON", error=error)) from error
            yield _object(entry, f"{path}:{number}")


def _object(entry: object, place: str) -> Record:
    if not isinstance(entry, dict):
        got = shorten(repr(entry))
        raise CorpusError(Errors.P013.format(place=place, expected="an object with named columns", got=got))
    return Record(place, entry)


def _csv(text: str, path: Path) -> Iterator[Record]:
    first = text.split("\n", 1)[0]
    delimiter = max("\t,;", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: Sequence[str] = ()
    line = 1
    try:
        for cells in reader:
            if not header:
                header = [cell.strip() for cell in cells]
            elif len(cells) != len(header) and cells:
                expected, quoted = len(header), shorten(delimiter.join(cells))
                raise CorpusError(
                    Errors.P001.format(path=path, line=line, expected=expected, got=len(cells), text=quoted)
                )
            elif cells:
                yield Record(f"{path}:{line}", dict(zip(header, cells, strict=True)))
            line = reader.line_num + 1
    except csv.Error as error:
        raise CorpusError(Errors.P011.format(place=f"{path}:{line}", kind="CSV", error=error)) from error
