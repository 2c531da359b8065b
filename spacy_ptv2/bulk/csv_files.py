"""Comma-separated values, and those with tabs or semicolons, whose first row names the columns.

In: a file. Out: where each shard begins; and the records of a shard. A cell may contain line breaks, so rows are found
by parsing; a row that cannot be parsed, or has too many or too few cells, is returned as such.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .cuts import Cut
from .records import Bad, Columns, Record, make_record
from .text_files import MARK

LONGEST_CELL = 1 << 24  # characters: what a quotation mark without a partner may swallow
DELIMITERS = "\t,;"


def cut_csv(path: Path, size: int) -> Iterator[Cut]:
    """Yield where shards of `size` rows begin and end."""
    with path.open("rb") as stream:
        delimiter = _read_header(stream)[1]
        start, offset, n_rows = 0, stream.tell(), 0
        for n_rows, _ in enumerate(_rows(stream, delimiter), start=1):
            if n_rows - start == size:
                yield Cut(start, n_rows, offset)
                start, offset = n_rows, stream.tell()
        if n_rows > start:
            yield Cut(start, n_rows, offset)


def read_csv(path: Path, name: str, cut: Cut, columns: Columns) -> Iterator[Record | Bad]:
    """Yield the records of a shard."""
    with path.open("rb") as stream:
        header, delimiter = _read_header(stream)
        stream.seek(cut.offset)
        for number, cells in zip(range(cut.start + 1, cut.stop + 1), _rows(stream, delimiter), strict=False):
            if isinstance(cells, csv.Error):
                yield Bad(name, number, f"it is not CSV: {cells}")
            elif not _is_utf8(cells):
                yield Bad(name, number, "it is not UTF-8")
            elif len(cells) != len(header):
                yield Bad(name, number, f"expected {len(header)} cells, got {len(cells)}")
            else:
                yield make_record(name, number, dict(zip(header, cells, strict=True)), columns)


def _read_header(stream: BinaryIO) -> tuple[list[str], str]:
    """Return the names of the columns and the delimiter. RAISES (ValueError): If the first row cannot be read."""
    start = stream.readline(LONGEST_CELL).removeprefix(MARK).decode("utf8")
    delimiter = max(DELIMITERS, key=start.count)
    try:
        cells = next(csv.reader([start], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise ValueError(f"its first row is not CSV: {error}") from error
    return [cell.strip() for cell in cells], delimiter


def _rows(stream: BinaryIO, delimiter: str) -> Iterator[list[str] | csv.Error]:
    """Yield rows that are not empty; an error for one that cannot be parsed, after which the next line is read."""
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))
    # iter, as csv must not read ahead of the place that the stream is asked for
    lines = (line.decode("utf8", errors="surrogateescape") for line in iter(stream.readline, b""))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield error
            continue
        if cells is None:
            return
        if cells:
            yield cells


def _is_utf8(cells: list[str]) -> bool:
    try:
        "".join(cells).encode("utf8")
    except UnicodeEncodeError:
        return False
    return True
