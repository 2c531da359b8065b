"""What a user can say about a file instead of having it detected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from ..errors import CorpusError, Errors
from .schemes import Scheme, find_scheme

COLUMNS = ("word", "tag")
Misaligned = Literal["error", "expand", "skip"]


@dataclass(frozen=True)
class FileOptions:
    """How to read files.

    scheme (Scheme | None): The scheme of the tags; None to detect it.
    word_column, tag_column (int | str | None): A number counted from 1, or from -1 at the end, or a name in the header;
        None to detect it.
    misaligned (Misaligned): What to do with an entity that begins or ends inside a token, or overlaps another.
    overlaps (bool): Keep entities that overlap, for span groups, which may have them.
    """

    scheme: Scheme | None = None
    word_column: int | str | None = None
    tag_column: int | str | None = None
    misaligned: Misaligned = "error"
    overlaps: bool = False


def build_file_options(
    scheme: str | None = None,
    columns: Mapping[str, int | str | None] | None = None,
    misaligned: str = "error",
    overlaps: bool = False,
) -> FileOptions:
    """Build file options from a user's settings.

    columns (Mapping[str, int | str | None] | None): The columns of "word" and "tag"; for the others see `FileOptions`.
    RAISES (CorpusError): P008, P021, P043.
    """
    columns = columns or {}
    for name in columns:
        if name not in COLUMNS:
            raise CorpusError(Errors.P043.format(got=name, task="ner", expected=", ".join(COLUMNS)))
    word, tag = (columns.get(name) for name in COLUMNS)
    for known in get_args(Misaligned):
        if misaligned == known:
            return FileOptions(find_scheme(scheme) if scheme else None, word, tag, known, overlaps)
    raise CorpusError(Errors.P021.format(got=misaligned, expected=", ".join(get_args(Misaligned))))
