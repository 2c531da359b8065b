"""Reads files with one token per line into tables: rows of cells, in blocks that are sentences.

In: a text with columns (tabs or spaces, LF or CRLF, with or without comments), CSV, or `word|TAG word|TAG` lines. Out:
a `Table`, whose columns `columns.py` tells apart. What is a comment is decided here: in tweets a token may be `#`.
Sources: CoNLL-2003, https://aclanthology.org/W03-0419; CoNLL-U (Plus), https://universaldependencies.org/ext-format.html.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from io import StringIO
from itertools import chain
from pathlib import Path

from ..errors import CorpusError, Errors
from .schemes import is_tag
from .text import shorten

DOCSTART = "-DOCSTART-"
NEW_DOCUMENT = re.compile(r"#\s*newdoc\b|#begin document|###MEDLINE:")
ASSIGNMENT = re.compile(r"#+\s*[\w.:]+\s*=\s")  # "# text = ..."
HASHTAG = re.compile(r"#[^\W\d]\w*")
GLOBAL_COLUMNS = re.compile(r"#\s*global\.columns\s*=\s*(.+)")

Row = tuple[int, tuple[str, ...]]  # line, cells; tuples, because the garbage collector soon stops tracking them


@dataclass
class Table:
    """Rows with the same number of cells.

    blocks (list[list[Row]]): Runs of rows between empty lines.
    document_starts (set[int]): Which blocks begin a document; empty if the file does not mark documents.
    header (list[str]): Names of the columns, if the file has them.
    width (int): Number of cells per row.
    """

    path: Path
    blocks: list[list[Row]] = field(default_factory=list)
    document_starts: set[int] = field(default_factory=set)
    header: list[str] = field(default_factory=list)
    width: int = 0

    def add(self, block: list[Row]) -> None:
        """Add a block, unless it is empty."""
        if block:
            self.blocks.append(block)

    def rows(self) -> list[Row]:
        """Return the rows of all blocks."""
        return list(chain.from_iterable(self.blocks))


def split_cells(line: str) -> list[str]:
    """Split a line at tabs, or at spaces if it has no tabs. Between tabs a cell may be empty or contain spaces."""
    if "\t" in line:
        cells = line.split("\t")
        return [cell.strip(" ") for cell in cells] if " " in line else cells
    cells = line.split(" ")
    return [cell for cell in cells if cell] if "" in cells else cells


def parse_columns(text: str, path: Path) -> Table:
    """Split a text into columns. If the rows do not fit otherwise, several tabs in a row count as one.

    RAISES (CorpusError): P001, P003.
    """
    try:
        return _parse(text, path)
    except CorpusError:
        if "\t\t" not in text:
            raise
        return _parse(re.sub("\t\t+", "\t", text), path)


def _parse(text: str, path: Path) -> Table:
    lines = text.split("\n")
    first = _find_first_row(lines)
    table = Table(path, width=len(split_cells(first)))
    least = len(split_cells(first.rstrip()))
    block: list[Row] = []
    for number, line in enumerate(lines, start=1):
        line = line.rstrip(" \r")
        if not line or line.isspace():
            table.add(block)
            block = []
            continue
        cells = split_cells(line)
        if line[0] == "#" and _is_comment(line, cells, first, not block):
            _read_comment(line, table)
        elif _is_docstart(line):
            table.add(block)
            block = []
            table.document_starts.add(len(table.blocks))
        else:
            if len(cells) != table.width:
                cells = _fit(cells, table.width, least)
            if len(cells) == 1:
                raise CorpusError(Errors.P003.format(path=path, line=number, text=shorten(line.strip())))
            if len(cells) != table.width:
                raise _ragged(table, number, cells, line.strip())
            block.append((number, tuple(cells)))
    table.add(block)
    return table


def _find_first_row(lines: list[str]) -> str:
    """Return the first line that is certainly not a comment, else the first that has a tag, else an empty string."""
    unsure = ""
    for line in (line.rstrip(" \r") for line in lines):
        if line and not line.isspace() and not _is_docstart(line):
            if line[0] != "#":
                return line
            unsure = unsure or (line if any(map(is_tag, split_cells(line)[1:])) else "")
    return unsure


def _fit(cells: list[str], width: int, least: int) -> list[str]:
    """Remove or add empty cells at the end of a row, as the last columns may be optional."""
    while len(cells) > width and not cells[-1]:
        cells = cells[:-1]
    return [*cells, *[""] * (width - len(cells))] if least <= len(cells) < width else cells


def _is_docstart(line: str) -> bool:
    return DOCSTART in line and DOCSTART in split_cells(line)[:2]  # the first condition is the faster one


def _is_comment(line: str, cells: list[str], first: str, at_start: bool) -> bool:
    """Return whether a line that begins with # is a comment, rather than a row whose word is # or a hashtag.

    A row has as many cells as the others and a tag among them. In the middle of a sentence, or if the # is part of a
    longer word, a line with a wrong tag is still a row, so that it is reported and not lost.
    """
    if ASSIGNMENT.match(line) and "\t" not in line.split("=")[0]:
        return True
    is_bare = not cells[0].strip("#")
    if len(cells) == 1:
        return at_start and not HASHTAG.fullmatch(line)
    has_tag = any(map(is_tag, cells[1:]))
    if len(cells) != len(split_cells(first)):
        return not has_tag
    is_other_layout = "\t" in first and "\t" not in line
    return not has_tag and (is_other_layout or (at_start and is_bare))


def _read_comment(line: str, table: Table) -> None:
    if NEW_DOCUMENT.match(line):
        table.document_starts.add(len(table.blocks))
    if match := GLOBAL_COLUMNS.match(line):
        table.header = match[1].split()


def _ragged(table: Table, line: int, cells: list[str], text: str) -> CorpusError:
    message = Errors.P001.format(path=table.path, line=line, expected=table.width, got=len(cells), text=shorten(text))
    return CorpusError(message)


def parse_csv(text: str, path: Path, delimiter: str) -> Table:
    """Split comma-separated values, or those with another delimiter. An empty row ends a sentence.

    RAISES (CorpusError): P001, P013.
    """
    table = Table(path)
    block: list[Row] = []
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter)
    try:
        for cells in reader:
            if not any(cells):
                table.add(block)
                block = []
                continue
            table.width = table.width or len(cells)
            if len(cells) != table.width:
                raise _ragged(table, reader.line_num, cells, delimiter.join(cells))
            block.append((reader.line_num, tuple(cell.strip(" \r\n") for cell in cells)))
    except csv.Error as error:
        raise CorpusError(Errors.P011.format(place=f"{path}:{reader.line_num}", kind="CSV", error=error)) from error
    table.add(block)
    return table


def parse_pipes(text: str, path: Path) -> Table:
    """Split lines of one sentence each, with tokens as `word|TAG` or `word|POS|TAG`.

    RAISES (CorpusError): P001.
    """
    table = Table(path)
    for number, line in enumerate(text.split("\n"), start=1):
        block: list[Row] = []
        for item in line.split():
            cells = item.split("|")
            table.width = table.width or len(cells)
            if len(cells) > table.width > 1:  # the word is a pipe or contains one
                cells = ["|".join(cells[: len(cells) - table.width + 1]), *cells[len(cells) - table.width + 1 :]]
            if len(cells) != table.width:
                raise _ragged(table, number, cells, item)
            block.append((number, tuple(cells)))
        table.add(block)
    return table
