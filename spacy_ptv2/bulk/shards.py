"""Cuts an input into shards: always in the same way, each with a name that says what it is of.

In: a file, or a folder of files of any of the kinds. Out: shards of at most so many documents, and the records of each.
Files that each are one document make shards by folder; other files are cut by themselves. A file that cannot be read
makes a shard too, in which that is said.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import CorpusError, Errors
from .csv_files import cut_csv, read_csv
from .cuts import Cut
from .doc_bins import cut_docs, read_docs
from .parquet_files import check_pyarrow, cut_parquet, read_parquet
from .records import Bad, Columns, Record
from .text_files import cut_lines, read_file, read_json_lines, read_lines

Read = Callable[[Path, str, Cut, Columns], Iterator[Record | Bad]]
TEXT, LINES, PARQUET = "txt", "lines", "parquet"
SUFFIXES = {
    ".txt": TEXT,
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": PARQUET,
    ".spacy": "docs",
}
CUT: dict[str, Callable[[Path, int], Iterator[Cut]]] = {
    LINES: cut_lines,
    "jsonl": cut_lines,
    "csv": cut_csv,
    PARQUET: cut_parquet,
    "docs": cut_docs,
}
READ: dict[str, Read] = {
    LINES: read_lines,
    "jsonl": read_json_lines,
    "csv": read_csv,
    PARQUET: read_parquet,
    "docs": read_docs,
}


class File(NamedTuple):
    """An input file as it was when the input was cut. name (str): Its path in the input, with slashes."""

    name: str
    size: int
    changed: int

    @classmethod
    def at(cls, path: Path, name: str) -> File:
        """Return a file as it is. RAISES (OSError): If it is not there."""
        state = path.stat()
        return cls(name, state.st_size, state.st_mtime_ns)


@dataclass(frozen=True)
class Shard:
    """A part of the input. name (str): The path of what is made of it in the output, without a suffix."""

    name: str
    kind: str
    files: tuple[File, ...]
    cut: Cut

    @property
    def n_documents(self) -> int:
        """How many documents there are, at most."""
        return self.cut.stop - self.cut.start

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"name": self.name, "kind": self.kind, "files": self.files, "cut": self.cut}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Shard:
        """Return what `to_json` was called on. RAISES (KeyError, TypeError): If it is something else."""
        files = tuple(File(*file) for file in values["files"])
        return cls(values["name"], values["kind"], files, Cut(*values["cut"]))


def find_inputs(source: Path, output: Path) -> list[File]:
    """Return the files of a kind that can be read, sorted by their paths; hidden ones and the output are left out.

    RAISES (CorpusError): P822 if there are none.
    """
    if source.is_dir():
        paths = [path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()]
        paths = [path for path in paths if not path.is_relative_to(output)]
        names = {path.relative_to(source).as_posix(): path for path in paths}
        names = {name: path for name, path in names.items() if not any(p[0] in "._" for p in name.split("/"))}
    else:
        names = {source.name: source} if source.suffix.lower() in SUFFIXES and source.is_file() else {}
    if not names:
        raise CorpusError(Errors.P822.format(path=source, expected=", ".join(SUFFIXES)))
    return [File.at(names[name], name) for name in sorted(names)]


def cut_input(source: Path, files: Sequence[File], size: int, *, lines: bool) -> Iterator[Shard]:
    """Yield the shards of some files. RAISES (PTuningError): P821 if a file needs a package that is missing."""
    texts = [file for file in files if _kind(file, lines) == TEXT]
    for folder, own in groupby(sorted(texts, key=lambda file: (_folder(file), file.name)), key=_folder):
        together = list(own)
        for start in range(0, len(together), size):
            part = tuple(together[start : start + size])
            cut = Cut(start, start + len(part))
            yield Shard(_shard_name(f"{folder}{TEXT}", cut), TEXT, part, cut)
    for file in files:
        kind = _kind(file, lines)
        if kind == PARQUET:
            check_pyarrow()
        for cut in _cut(path_of(source, file.name), kind, size) if kind != TEXT else ():
            yield Shard(_shard_name(file.name, cut), kind, (file,), cut)


def read_shard(shard: Shard, source: Path, columns: Columns) -> Iterator[Record | Bad]:
    """Yield the records of a shard.

    RAISES (CorpusError): P823 if a file has vanished or changed since the input was cut.
    """
    _check_unchanged(shard, source)
    try:
        if shard.kind == TEXT:
            for number, file in enumerate(shard.files, start=shard.cut.start + 1):
                yield read_file(path_of(source, file.name), file.name, number)
        else:
            yield from _read_part(shard, source, columns)
    except FileNotFoundError as error:
        raise CorpusError(Errors.P823.format(path=error.filename, problem="is not there any more")) from error
    _check_unchanged(shard, source)


def path_of(source: Path, name: str) -> Path:
    """Return where an input file is."""
    return source / name if source.is_dir() else source


def _read_part(shard: Shard, source: Path, columns: Columns) -> Iterator[Record | Bad]:
    name = shard.files[0].name
    path = path_of(source, name)
    try:
        if not shard.n_documents:
            deque(CUT[shard.kind](path, 1), maxlen=0)  # raises what kept it from being cut
        yield from READ[shard.kind](path, name, shard.cut, columns)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        yield Bad(name, None, f"the file cannot be read: {error}")


def _check_unchanged(shard: Shard, source: Path) -> None:
    for file in shard.files:
        path = path_of(source, file.name)
        try:
            problem = None if File.at(path, file.name) == file else "has changed since the input was cut into shards"
        except FileNotFoundError:
            problem = "is not there any more"
        if problem is not None:
            raise CorpusError(Errors.P823.format(path=path, problem=problem))


def _cut(path: Path, kind: str, size: int) -> list[Cut]:
    """Return the parts of a file, one without documents if it has none or cannot be read."""
    try:
        return list(CUT[kind](path, size)) or [Cut(0, 0)]
    except (OSError, ValueError):
        return [Cut(0, 0)]


def _kind(file: File, lines: bool) -> str:
    kind = SUFFIXES[Path(file.name).suffix.lower()]
    return LINES if lines and kind == TEXT else kind


def _folder(file: File) -> str:
    """Return the folder of a file with a slash, or nothing."""
    return "".join(file.name.rpartition("/")[:2])


def _shard_name(name: str, cut: Cut) -> str:
    return f"{name}-{cut.start:09}-{cut.stop:09}"
