"""Reads the text of files as UTF-8, shortens it to one line for messages, and writes files completely or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ..errors import CorpusError, Errors

QUOTE = 100  # characters of a file that a message may quote


def read_text(path: Path) -> str:
    """Return the text of a file.

    RAISES (CorpusError): P005, P006.
    """
    return decode(read_bytes(path), path)


def read_bytes(path: Path) -> bytes:
    """Return the content of a file. It is read only once, as it may be a pipe.

    RAISES (CorpusError): P005.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise CorpusError(Errors.P005.format(path=path, error=error.strerror)) from None


def decode(content: bytes, path: Path) -> str:
    r"""Decode UTF-8, without a byte-order mark and with line ends as \n.

    RAISES (CorpusError): P006.
    """
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise CorpusError(Errors.P006.format(path=path, error=error)) from error


def write_whole(content: bytes, path: Path) -> None:
    """Write a file completely or not at all.

    RAISES (CorpusError): P024.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise CorpusError(Errors.P024.format(path=path, error=error.strerror)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def shorten(text: object, limit: int = QUOTE) -> str:
    """Return the part of a text that a message may quote: at most `limit` characters of its first line."""
    line = str(text).split("\n", 1)[0]
    return line if len(line) <= limit else line[: limit - 3] + "..."


def joined(text: str) -> str:
    """Return a text with all white space replaced by single spaces."""
    return " ".join(text.split())
