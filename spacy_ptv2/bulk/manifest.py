"""What the shards of an output were made with and of; another run may only add to them.

In: pipelines, settings and the files of an input. Out: `_manifest.json` and `_shards.jsonl` in the output, and the
shards. A rerun with other pipelines, settings or files is refused with the differences, or, with force, removes what
they make obsolete.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock

from ..corpora.text import shorten
from ..errors import Errors, FormatError, PTuningError
from ..packaging.manifest import describe_files
from ..packaging.verification import find_target
from ..reading import parse_object, read_object
from ..writing import replacing_file
from .layout import MANIFEST, SHARDS
from .shards import File, Shard
from .writers import write_lines

FORMAT_VERSION = 1
LOCK = "_locks/_manifest.lock"
SHOWN = 3  # differing files that an error names


@dataclass(frozen=True)
class Manifest:
    """What determines the annotations.

    pipelines (Mapping[str, str]): Digests of their files, by task. settings (Mapping[str, Any]): Plain values.
    files (Sequence[File]): The input.
    """

    pipelines: Mapping[str, str]
    settings: Mapping[str, Any]
    files: Sequence[File]

    @property
    def made_with(self) -> str:
        """The digest of pipelines and settings."""
        content = json.dumps([self.pipelines, self.settings], sort_keys=True)
        return hashlib.sha256(content.encode("utf8")).hexdigest()

    def differences(self, other: Manifest) -> list[str]:
        """Return in words what differs in another one, which comes later."""
        found = []
        for what, own, others in (
            ("the pipeline", self.pipelines, other.pipelines),
            ("the setting", self.settings, other.settings),
        ):
            for name in dict.fromkeys([*own, *others]):
                was, now = own.get(name, "not there"), others.get(name, "not there")
                if was != now:
                    found.append(f"{what} {name!r} was {_short(was)}, is {_short(now)}")
        return found + _compare_files(self.files, other.files)


def fingerprint_pipeline(pipeline: str) -> str:
    """Return the digest of the files of a package or a folder. RAISES (PTuningError): P613 if there is neither."""
    content = json.dumps(describe_files(find_target(pipeline).folder, cached=True), sort_keys=True)
    return hashlib.sha256(content.encode("utf8")).hexdigest()


@contextmanager
def planning(output: Path) -> Iterator[None]:
    """Keep other processes from planning the same output, or wait for them.

    RAISES (PTuningError): P825 if the folder has something else in it.
    """
    if output.is_file() or (output.is_dir() and any(output.iterdir()) and not _is_ours(output)):
        raise PTuningError(Errors.P825.format(path=output))
    (output / LOCK).parent.mkdir(parents=True, exist_ok=True)
    with FileLock(output / LOCK):
        yield


def read_manifest(output: Path) -> tuple[Manifest, list[Shard]] | None:
    """Return what an output was made with, and its shards; None if it has none yet.

    RAISES (FormatError): P826 if what is there is damaged or of another version.
    """
    if not (output / MANIFEST).exists():
        return None
    try:
        content = read_object(output / MANIFEST)
        if content["format_version"] != FORMAT_VERSION:
            raise ValueError(f"expected version {FORMAT_VERSION}, got {content['format_version']!r}")
        shards = []
        with (output / SHARDS).open("rb") as stream:
            for line in stream:
                shards.append(Shard.from_json(parse_object(line)))
        files = list(dict.fromkeys(file for shard in shards for file in shard.files))
        manifest = Manifest(content["pipelines"], content["settings"], files)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(Errors.P826.format(path=output / MANIFEST, error=error)) from error
    return manifest, shards


def write_manifest(output: Path, manifest: Manifest, shards: Sequence[Shard], named: Mapping[str, str]) -> None:
    """Write both files, the manifest last. named (Mapping[str, str]): Where the pipelines are, for people."""
    with replacing_file(output / SHARDS) as place:
        write_lines((json.dumps(shard.to_json()) for shard in shards), place)
    content = {
        "format_version": FORMAT_VERSION,
        "pipelines": manifest.pipelines,
        "settings": manifest.settings,
        "loaded_from": named,
        "files": len(manifest.files),
        "shards": len(shards),
        "documents": sum(shard.n_documents for shard in shards),
        "made_with": {name: version(name) for name in ("spacy-ptv2", "spacy", "torch", "transformers")},
    }
    with replacing_file(output / MANIFEST) as place:
        place.write_text(json.dumps(content, indent=1), encoding="utf8")


def state_of(output: Path) -> tuple[int, int]:
    """Return what tells this manifest from a later one."""
    state = (output / MANIFEST).stat()
    return state.st_ino, state.st_mtime_ns


def _is_ours(output: Path) -> bool:
    return (output / MANIFEST).exists() or (output / LOCK).parent.exists()  # which a process may just have made


def _compare_files(own: Sequence[File], others: Sequence[File]) -> list[str]:
    was, now = {file.name: file for file in own}, {file.name: file for file in others}
    groups = {
        "not there any more": [name for name in was if name not in now],
        "new": [name for name in now if name not in was],
        "changed": [name for name in now if name in was and now[name] != was[name]],
    }
    found = []
    for state, names in groups.items():
        if names:
            more = ", ..." if len(names) > SHOWN else ""
            found.append(f"{len(names)} of the input's files: {state} ({', '.join(names[:SHOWN])}{more})")
    return found


def _short(value: Any) -> str:
    return shorten(repr(value)) if not isinstance(value, str) else value[:12]
