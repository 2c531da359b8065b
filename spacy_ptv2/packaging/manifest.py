"""The manifest of a package: size and sha256 of each of its data files, checked before anything reads them.

In: a package's folder. Out: `manifest.json` in it, or an error that names the first file that has changed. A manifest
detects damage, not malice: whoever can change a file can change the manifest too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from ..backbones.hash_cache import hash_file
from ..errors import Errors, FormatError
from ..reading import is_file, read_object

MANIFEST_FILE = "manifest.json"
FORMAT_VERSION = 1


def write_manifest(folder: Path) -> None:
    """List the data files in a package's folder."""
    content = {"format_version": FORMAT_VERSION, "package": folder.name, "files": describe_files(folder)}
    (folder / MANIFEST_FILE).write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf8")


def describe_files(folder: Path, *, cached: bool = False) -> dict[str, dict[str, Any]]:
    """Return the size and sha256 of the data files in a package's or a pipeline's folder, by their paths in it.

    cached (bool): As of `package_problems`.
    """
    return {file.relative_to(folder).as_posix(): _describe(file, cached=cached) for file in _data_files(folder)}


def check_package(folder: Path) -> None:
    """Check every data file of a package; its `load()` calls this first.

    RAISES (FormatError): P601-P604 for the first problem, with the file.
    """
    for problem in package_problems(folder):
        raise problem


def package_problems(folder: Path, *, cached: bool = True) -> Iterator[FormatError]:
    """Yield the problems of a package's data files.

    cached (bool): Whether hashes of large unchanged files may come from the user's cache directory.
    """
    try:
        listed = _read_manifest(folder)
    except FormatError as error:
        yield error
        return
    for name, expected in listed.items():
        file = folder / name
        if not is_file(file):
            yield FormatError(Errors.P602.format(path=file, problem="is missing", package=folder.name))
            continue
        try:
            found: Any = _describe(file, cached=cached)
        except OSError as error:
            found = error
        if found != expected:
            problem = f"has {found}, expected {expected!r:.200}"
            yield FormatError(Errors.P602.format(path=file, problem=problem, package=folder.name))
    for file in _data_files(folder):
        if file.relative_to(folder).as_posix() not in listed:
            yield FormatError(Errors.P602.format(path=file, problem="is not in the manifest", package=folder.name))


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST_FILE
    try:
        content = read_object(path)
        version, package, files = content["format_version"], content["package"], content["files"]
        names = list(files)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(Errors.P601.format(path=path, error=repr(error))) from error
    if version != FORMAT_VERSION:
        raise FormatError(Errors.P603.format(path=path, got=version, expected=FORMAT_VERSION))
    if package != folder.name or not isinstance(files, dict):
        raise FormatError(Errors.P601.format(path=path, error=f"it is that of {package!r}"))
    for name in names:
        if _leads_out(folder, name):
            raise FormatError(Errors.P604.format(path=path, name=name))
    return files


def _leads_out(folder: Path, name: str) -> bool:
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts or "\\" in name or ":" in name or not parts.parts:
        return True
    try:
        return not (folder / parts).resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # names that no file can have, circular links
        return True


def _data_files(folder: Path) -> Iterator[Path]:
    """Yield the files that spaCy and this package read: no code, no hidden files, none of Python's caches."""
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        is_hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
        is_own = parts in ((MANIFEST_FILE,), ("__init__.py",))
        if file.is_file() and not is_hidden and not is_own:
            yield file


def _describe(file: Path, *, cached: bool) -> dict[str, Any]:
    return {"size": file.stat().st_size, "sha256": hash_file(file, cached=cached)}
