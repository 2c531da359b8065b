"""Text and JSON lines: files that are read line by line, from any line whose place is known.

In: a file. Out: where each shard begins, in one fast pass; and the records of a shard. A line that is no record is
returned as such, and the next one is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..reading import MAX_BYTES, parse_object
from .cuts import Cut
from .records import Bad, Columns, Record, make_record

MARK = b"\xef\xbb\xbf"  # of the byte order, which some programs put before UTF-8


def lines_of(stream: BinaryIO, longest: int = MAX_BYTES) -> Iterator[bytes | None]:
    """Yield lines without their ends; None for one of more than `longest` bytes, which is skipped."""
    at_start = stream.tell() == 0
    while line := stream.readline(longest + 2):
        if at_start:
            line, at_start = line.removeprefix(MARK), False
        if len(line) > longest and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = stream.readline(longest)
            yield None
        else:
            yield line.rstrip(b"\r\n")


def cut_lines(path: Path, size: int) -> Iterator[Cut]:
    """Yield where shards of `size` lines begin and end."""
    with path.open("rb") as stream:
        start = offset = n_lines = 0
        for n_lines, _ in enumerate(lines_of(stream), start=1):
            if n_lines - start == size:
                yield Cut(start, n_lines, offset)
                start, offset = n_lines, stream.tell()
        if n_lines > start:
            yield Cut(start, n_lines, offset)


def read_file(path: Path, name: str, number: int) -> Record | Bad:
    """Return the record of a file that is one document. RAISES (OSError): If it cannot be opened."""
    try:
        text = path.read_bytes().removeprefix(MARK).decode("utf8")
    except UnicodeDecodeError as error:
        return Bad(name, number, str(error))
    return Record(name, number, text, {"id": name, "text": text})


def read_lines(path: Path, name: str, cut: Cut, columns: Columns) -> Iterator[Record | Bad]:
    """Yield a record for each line of text that is not empty."""
    for number, line in _numbered(path, cut):
        try:
            text = None if line is None else line.decode("utf8")
        except UnicodeDecodeError as error:
            yield Bad(name, number, str(error))
            continue
        if text is None:
            yield _too_long(name, number)
        elif text.strip():
            yield Record(name, number, text, {"id": f"{name}:{number}", "text": text})


def read_json_lines(path: Path, name: str, cut: Cut, columns: Columns) -> Iterator[Record | Bad]:
    """Yield a record for each line that is an object; empty lines are skipped."""
    for number, line in _numbered(path, cut):
        if line is None:
            yield _too_long(name, number)
        elif line.strip():
            try:
                values = parse_object(line)
            except ValueError as error:
                yield Bad(name, number, str(error))
            else:
                yield make_record(name, number, values, columns)


def _numbered(path: Path, cut: Cut) -> Iterator[tuple[int, bytes | None]]:
    with path.open("rb") as stream:
        stream.seek(cut.offset)
        yield from zip(range(cut.start + 1, cut.stop + 1), lines_of(stream), strict=False)


def _too_long(name: str, number: int) -> Bad:
    return Bad(name, number, f"expected a line of at most {MAX_BYTES:,} bytes")
