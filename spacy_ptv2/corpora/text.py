"""Text of files: read as UTF-8, and quoted in messages in one short line."""

from __future__ import annotations

from pathlib import Path

from ..errors import CorpusError, Errors

QUOTE = 100  # characters of a file that a message may quote


def read_text(path: Path) -> str:
    """Return the text of a file.

    RAISES (CorpusError): P005, P006.
    """
    return decode(read_bytes(path), path)


def read_bytes(path: Path) -> bytes:
    """Return what is in a file, which may be a pipe and is read once.

    RAISES (CorpusError): P005.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise CorpusError(Errors.P005.format(path=path, error=error.strerror)) from None


def decode(content: bytes, path: Path) -> str:
    r"""Return UTF-8 as text, without a byte-order mark; line ends become \n.

    RAISES (CorpusError): P006.
    """
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise CorpusError(Errors.P006.format(path=path, error=error)) from error


def shorten(text: object, limit: int = QUOTE) -> str:
    """Return a text as it may be quoted in a message: its first line, at most `limit` characters of it."""
    line = str(text).split("\n", 1)[0]
    return line if len(line) <= limit else line[: limit - 3] + "..."
