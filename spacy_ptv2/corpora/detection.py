"""Detects what kind a file is from its first bytes and lines.

In: the content of a file. Out: a kind that `files.py` has a reader for, or an error that names the kind and what can
read it.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Literal

from ..errors import CorpusError, Errors
from .columns import NAMES
from .conll2012 import is_conll_2012
from .conllu import WIDTH as CONLLU_WIDTH
from .json_files import NO_READER, WITH_TASK, is_json
from .schemes import is_tag
from .tables import split_cells

Kind = Literal["columns", "csv", "pipes", "json", "conll2012"]

LOOK_AT, LONGEST = 200, 10_000  # how many lines are looked at, and how many characters of each
ANNOTATE = "Export CoNLL 2003 from the tool that wrote it."
BINARY = (
    (
        b"\x78\x9c",
        "compressed like spaCy's .spacy files",
        "A .spacy file needs no conversion: give it to `spacy train`.",
    ),
    (b"\x1f\x8b", "compressed (gzip)", "Unpack it first, with `gunzip`."),
    (b"PK\x03\x04", "a zip archive, or an office document", "Unpack it first, or export it as CSV."),
    (b"BZh", "compressed (bzip2)", "Unpack it first, with `bunzip2`."),
    (b"\xfd7zXZ", "compressed (xz)", "Unpack it first, with `unxz`."),
    (b"PAR1", "a Parquet file", "Write its rows as JSON Lines: `pandas.read_parquet(path).to_json(lines=True, ...)`."),
    (b"ARROW1", "an Arrow file", "Write its rows as JSON Lines: `dataset.to_json(path)` in Hugging Face's datasets."),
    (b"SQLite format 3", "an SQLite database", "If it is Prodigy's, `prodigy db-out` writes JSON Lines."),
    (b"%PDF", "a PDF document", "Give a file with annotated text."),
    (b"\x80\x04", "a pickle, which runs code when it is read", "Write its content as JSON Lines."),
    (b"\x80\x05", "a pickle, which runs code when it is read", "Write its content as JSON Lines."),
    (b"\xff\xfe", "text in UTF-16", "Convert it: `iconv -f UTF-16 -t UTF-8`."),
    (b"\xfe\xff", "text in UTF-16", "Convert it: `iconv -f UTF-16 -t UTF-8`."),
)
TEXTUAL = (
    (re.compile(r"#FORMAT=WebAnno TSV"), "a WebAnno or INCEpTION TSV file", ANNOTATE),
    (
        re.compile(r"[TREAMN*]\d*\t\S+ (\d+ \d+|\S+:)"),
        "a brat standoff file, whose text is in a .txt file next to it",
        ANNOTATE,
    ),
    (re.compile(r"\d+\|t\|"), "a PubTator file", NO_READER),
    (re.compile(r"<(\?xml|!DOCTYPE|[A-Za-z][\w.:-]*[ >/])"), "XML, HTML or SGML", ANNOTATE),
)
ARGUMENTS = re.compile(r"(\([^()\s*]+)*\*\)*")


def check_binary(content: bytes, path: Path) -> None:
    """Refuse content that is not text.

    RAISES (CorpusError): P010.
    """
    for magic, kind, advice in BINARY:
        if content.startswith(magic):
            raise CorpusError(Errors.P010.format(path=path, kind=kind, advice=advice))


def detect(text: str, path: Path) -> Kind:
    """Return the kind of a text.

    RAISES (CorpusError): P010 for a known kind that cannot be read.
    """
    lines = [line[:LONGEST] for line in text.split("\n", LOOK_AT)[:LOOK_AT] if line.strip()]
    if not lines:
        return "columns"
    first = lines[0]
    if any(map(is_tag, split_cells(first.rstrip())[1:][-1:])) and not _is_pipes(first):
        return "columns"
    if is_json(text):
        return "json"
    if is_conll_2012(text):
        return "conll2012"
    for pattern, kind, advice in TEXTUAL:
        if pattern.match(first):
            raise CorpusError(Errors.P010.format(path=path, kind=kind, advice=advice))
    if _is_pipes(first):
        return "pipes"
    if _has_arguments(lines):
        kind = "a file of semantic roles (CoNLL-2005), whose brackets are arguments of predicates"
        raise CorpusError(Errors.P010.format(path=path, kind=kind, advice=WITH_TASK.format("srl")))
    delimiter = find_delimiter(first, path)
    rows = list(csv.reader(lines, delimiter=delimiter)) if delimiter else [split_cells(line) for line in lines]
    if not any(is_tag(cell) for cells in rows if len(cells) > 1 for cell in cells) and not any(map(_is_conllu, rows)):
        kind = "a text without entity tags: no O or B-LABEL in its first lines"
        raise CorpusError(Errors.P010.format(path=path, kind=kind, advice=NO_READER))
    return "csv" if delimiter else "columns"


def find_delimiter(first: str, path: Path) -> str:
    """Return the delimiter of CSV, judging by the header, the first row or the file name; empty if it is not CSV."""
    rows = {delimiter: next(csv.reader([first], delimiter=delimiter), []) for delimiter in ",;"}
    for delimiter, cells in rows.items():
        names = {cell.strip().casefold() for cell in cells}
        if all(names & set(NAMES[kind]) for kind in ("word", "tag")) or (len(cells) > 1 and is_tag(cells[-1])):
            return delimiter
    return max(rows, key=lambda delimiter: len(rows[delimiter])) if path.suffix.lower() == ".csv" else ""


def _is_pipes(line: str) -> bool:
    """Return whether each item of a line is `word|TAG` or `word|POS|TAG`."""
    items = [item.split("|") for item in line.split()]
    return bool(items) and all(len(cells) > 1 and is_tag(cells[-1]) for cells in items)


def _has_arguments(lines: list[str]) -> bool:
    """Return whether all columns after the word and the predicate are columns of arguments."""
    columns = [cell for line in lines for cell in split_cells(line)[2:]]
    return bool(columns) and any("(" in cell for cell in columns) and all(map(ARGUMENTS.fullmatch, columns))


def _is_conllu(cells: list[str]) -> bool:
    return len(cells) == CONLLU_WIDTH and cells[0].isdigit()
