"""What is trained in a pipeline, over which backbone, and what it requires: the data of `spacy ptv2 info`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from spacy.language import Language

from ..backbones.catalogue import ENTRY_POINT_GROUP, KNOWN_PACKAGES, locate_in_packages
from ..backbones.source import Candidate
from ..bridge.adapter_shim import AdapterShim
from ..parameter_groups import BYTES_PER_NUMBER
from ..serialization.models import adapter_shims, trained_parameters


@dataclass(frozen=True)
class ComponentSummary:
    """What one component has learned. parts (dict[str, int]): Trained parameters by part; see `PARTS`."""

    name: str
    parts: dict[str, int]

    @property
    def n_bytes(self) -> int:
        """Bytes of these parameters."""
        return BYTES_PER_NUMBER * sum(self.parts.values())


@dataclass(frozen=True)
class BackboneSummary:
    """A frozen model. origin (str): Where it was found. requirement (str | None): The package that it comes from."""

    name: str
    revision: str | None
    fingerprint: str
    path: Path
    origin: str
    n_parameters: int
    requirement: str | None


@dataclass(frozen=True)
class Summary:
    """A pipeline: its trained components, its backbones, what it requires."""

    components: list[ComponentSummary]
    backbones: list[BackboneSummary]
    requirements: list[str]


def trained_adapters(nlp: Language) -> list[AdapterShim]:
    """Return the adapters that exist, not just in the config, in a pipeline's components, including disabled ones."""
    shims = [shim for _, pipe in nlp.components for shim in adapter_shims(getattr(pipe, "model", None))]
    return [shim for shim in shims if shim.is_initialized]


def summarize(nlp: Language) -> Summary:
    """Return the summary of a loaded pipeline."""
    models = {name: getattr(pipe, "model", None) for name, pipe in nlp.components}
    parts = {name: trained_parameters([model]) for name, model in models.items() if model is not None}
    for counts in parts.values():
        counts.pop("backbone", None)
    components = [ComponentSummary(name, counts) for name, counts in parts.items() if counts]
    backbones = {shim.backbone.fingerprint: _describe(shim) for shim in trained_adapters(nlp)}
    return Summary(components, list(backbones.values()), list(nlp.meta.get("requirements", [])))


def _describe(shim: AdapterShim) -> BackboneSummary:
    backbone, recorded = shim.backbone, shim.recorded
    return BackboneSummary(
        shim.source.name,
        recorded.revision or shim.source.revision,
        backbone.fingerprint,
        backbone.path,
        backbone.found.origin,
        backbone.n_parameters,
        recorded.requirement,
    )


def installed_backbones() -> Iterator[tuple[str, Candidate]]:
    """Yield the backbones that installed packages carry, with the name under which a config finds them."""
    announced = [entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)]
    for name in dict.fromkeys([*KNOWN_PACKAGES, *announced]):
        yield from ((name, candidate) for candidate in locate_in_packages(name))
