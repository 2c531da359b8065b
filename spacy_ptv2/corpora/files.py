"""Reads any file that has entities, or a folder of such files, into Documents.

In: a path and the user's options. Out: a `Corpus`. The kind of each file is detected from its content.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import CorpusError, Errors
from .conll import read_table
from .conll2012 import read_conll_2012
from .detection import LONGEST, check_binary, detect, find_delimiter
from .documents import Document
from .json_files import read_json
from .options import FileOptions
from .spans import Tokenize
from .tables import parse_columns, parse_csv, parse_pipes
from .text import decode, read_bytes

GOLD_CONLL = "_gold_conll"
NOT_CORPUS = re.compile(r"(readme|licen[cs]e|copying|notice|citation|changelog)|.*\.(md|rst)$", re.IGNORECASE)


@dataclass(frozen=True)
class Corpus:
    """What was read.

    layouts (dict[Path, str]): For each file, a description of what was found in it.
    """

    documents: list[Document]
    layouts: dict[Path, str]


def read_corpus(path: str | Path, options: FileOptions, tokenizer: Callable[[], Tokenize]) -> Corpus:
    """Read a file, or all files of a folder and its subfolders, sorted by path.

    path (str | Path): The file or folder.
    options (FileOptions): What the user said about the files.
    tokenizer (Callable[[], Tokenize]): Returns the tokenizer for raw texts. It is called only if there are any.
    RETURNS (Corpus): The documents of all files, at least one.
    RAISES (CorpusError): P001-P006, P009-P017, P020, P022, P023, P025.
    """
    documents: list[Document] = []
    layouts: dict[Path, str] = {}
    for file in find_files(Path(path)):
        found, layouts[file] = read_file(file, options, tokenizer)
        documents.extend(found)
    return Corpus(documents, layouts)


def find_files(path: Path) -> list[Path]:
    """Return the files of a folder and its subfolders, sorted, or the file itself.

    RAISES (CorpusError): P020.
    """
    if not path.is_dir():
        return [path]
    inner = (file.relative_to(path) for file in path.rglob("*") if file.is_file())
    files = sorted(file for file in inner if not any(part.startswith(".") for part in file.parts))
    files = [file for file in files if not NOT_CORPUS.match(file.name)]
    # The release of CoNLL-2012 also has each file with automatic annotations.
    files = [file for file in files if file.name.endswith(GOLD_CONLL)] or files
    if not files:
        raise CorpusError(Errors.P020.format(path=path))
    return [path / file for file in files]


def read_file(path: Path, options: FileOptions, tokenizer: Callable[[], Tokenize]) -> tuple[list[Document], str]:
    """Read one file of any kind.

    RETURNS (tuple[list[Document], str]): Its documents, and a description of what was found in it.
    RAISES (CorpusError): As `read_corpus`.
    """
    content = read_bytes(path)
    check_binary(content, path)
    text = decode(content, path)
    kind = detect(text, path)
    if kind == "json":
        return read_json(text, path, options, tokenizer)
    if kind == "conll2012":
        return read_conll_2012(text, path)
    if kind == "csv":
        table = parse_csv(text, path, find_delimiter(text.lstrip().split("\n", 1)[0][:LONGEST], path))
    else:
        table = (parse_pipes if kind == "pipes" else parse_columns)(text, path)
    documents, layout = read_table(table, options)
    return documents, f"{kind}: {layout}"
