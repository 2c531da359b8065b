"""Writes files and folders whole or not at all: beside their place first, then swapped in by a rename.

In: where something belongs. Out: a temporary place to write it to; what is written there is flushed to the disk and
takes the old one's place in one step, so that a process that is killed at any instant, or a full disk, leaves the last
complete one. Leftovers of a killed process are removed by the next one that writes to the same place.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import DiskError, Errors, PTuningError

BESIDE = ".{name}.{kind}"  # what the places beside a file or folder are called
NEW, OLD = "new", "old"
LOCK = ".lock"
_RENAME_EXCHANGE = 2  # of Linux's renameat2
_AT_FDCWD = -100


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Yield a place to write a file to, which takes the place of `path` afterwards, or is removed after an error.

    RAISES (DiskError): P810 if the disk is full or has an error; the old file is then still there.
    """
    with _beside_until_flushed(path) as new:
        yield new
        _flush(new)
        new.replace(path)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder, which takes the place of the folder `path` afterwards, or is removed after an error.

    RAISES (DiskError): P810 if the disk is full or has an error; the old folder is then still there.
    """
    with _beside_until_flushed(path) as new:
        restore_folder(path)
        new.mkdir()
        yield new
        _flush_tree(new)
        _swap_in(new, path)
    _remove(new)  # since the swap, the old one


def restore_folder(path: Path) -> None:
    """Bring back a folder whose replacement was interrupted between two renames."""
    old = _beside(path, OLD)
    if old.is_dir() and not path.exists():
        old.rename(path)
    _remove(old)


@contextmanager
def working_alone(folder: Path) -> Iterator[None]:
    """Hold a folder, which is created if it is missing. The system lets go of it whenever the process ends.

    RAISES (PTuningError): P779 if another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise PTuningError(Errors.P779.format(path=folder)) from error
    try:
        yield
    finally:
        lock.release()


def _beside(path: Path, kind: str) -> Path:
    return path.with_name(BESIDE.format(name=path.name, kind=kind))


@contextmanager
def _beside_until_flushed(path: Path) -> Iterator[Path]:
    """Yield the free place beside a path. What comes of it is on the disk afterwards; after an error nothing is."""
    new = _beside(path, NEW)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(new)
        yield new
        _flush(path.parent)
    except OSError as error:
        _remove(new)
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS):
            raise
        free = shutil.disk_usage(_existing(path)).free
        message = Errors.P810.format(path=path, problem=os.strerror(error.errno), disk=_mount(path), free=free >> 10)
        raise DiskError(message) from error
    except BaseException:
        _remove(new)
        raise


def _swap_in(new: Path, path: Path) -> None:
    """Let a folder take another one's place.

    Where the system cannot exchange two names, there is a gap between two renames, which `restore_folder` closes.
    """
    if not path.exists():
        new.rename(path)
    elif not _exchange(new, path):
        old = _beside(path, OLD)
        path.rename(old)
        new.rename(path)
        _remove(old)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step. RETURNS (bool): False if this system or this file system cannot."""
    renameat2 = getattr(_libc(), "renameat2", None)
    if renameat2 is None:
        return False
    failed = renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    return not failed


def _libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" else None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _flush_tree(folder: Path) -> None:
    for place, _, files in os.walk(folder, topdown=False):
        for file in files:
            _flush(Path(place, file))
        _flush(Path(place))


def _flush(path: Path) -> None:
    """Wait until a file or a folder's names are on the disk. Windows cannot open a folder for this."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _existing(path: Path) -> Path:
    return next(place for place in [path, *path.absolute().parents] if place.exists())


def _mount(path: Path) -> Path:
    """Return where the disk of a path is mounted."""
    return next(place for place in [_existing(path).absolute(), *path.absolute().parents] if os.path.ismount(place))
