"""Keeps other processes out of a folder while one works in it.

In: the folder. Out: a lock, or an error for the process that came second. The system releases the lock when a process
ends, however that is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import PTuningError


@contextmanager
def alone_in(folder: Path, name: str, refusal: str) -> Iterator[None]:
    """Work in a folder, which is created if it is missing, as its only process.

    name (str): Of the file that is locked there. refusal (str): The message for who comes second.
    RAISES (PTuningError): With that message.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / name)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise PTuningError(refusal) from error
    try:
        yield
    finally:
        lock.release()
