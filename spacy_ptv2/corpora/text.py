"""Text of files: read as UTF-8, and quoted in messages in one short line."""

from __future__ import annotations

from pathlib import Path

from ..errors import CorpusError, Errors

QUOTE = 100  # characters of a file that a message may quote


def read_text(path: Path) -> str:
    r"""Return the text of a file without its byte-order mark; line ends become \n.

    RAISES (CorpusError): P005, P006.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(Errors.P006.format(path=path, error=error)) from error
    except OSError as error:
        raise CorpusError(Errors.P005.format(path=path, error=error.strerror)) from None


def shorten(text: object, limit: int = QUOTE) -> str:
    """Return a text as it may be quoted in a message: its first line, at most `limit` characters of it."""
    line = str(text).split("\n", 1)[0]
    return line if len(line) <= limit else line[: limit - 3] + "..."
