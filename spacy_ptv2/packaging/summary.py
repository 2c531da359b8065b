"""What is trained in a pipeline, over which backbone, and what it needs: the facts behind `spacy ptv2 info`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from spacy.language import Language

from ..backbones.catalogue import ENTRY_POINT_GROUP, KNOWN_PACKAGES, locate_in_packages
from ..backbones.source import Candidate
from ..layers.model_state import prompt_shims, trained_parameters

BYTES_PER_NUMBER = 4  # what is trained is float32


@dataclass(frozen=True)
class ComponentSummary:
    """What one component has learned. parts (dict[str, int]): Numbers by part: prompt, layer_mix, casing, head."""

    name: str
    parts: dict[str, int]

    @property
    def n_bytes(self) -> int:
        """Bytes of these numbers."""
        return BYTES_PER_NUMBER * sum(self.parts.values())


@dataclass(frozen=True)
class BackboneSummary:
    """A frozen model. origin (str): Where it was found. requirement (str | None): The package that it came from."""

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


def summarize(nlp: Language) -> Summary:
    """Return what a loaded pipeline is made of."""
    components, backbones = [], {}
    for name, pipe in nlp.components:
        model = getattr(pipe, "model", None)
        if model is None:
            continue
        parts = trained_parameters([model])
        parts.pop("backbone", None)
        if parts:
            components.append(ComponentSummary(name, parts))
        for shim in prompt_shims(model):
            if shim.is_initialized:
                backbone, recorded = shim.backbone, shim.recorded
                backbones[backbone.fingerprint] = BackboneSummary(
                    shim.source.name,
                    recorded.revision or shim.source.revision,
                    backbone.fingerprint,
                    backbone.path,
                    backbone.found.origin,
                    backbone.n_parameters,
                    recorded.requirement,
                )
    return Summary(components, list(backbones.values()), list(nlp.meta.get("requirements", [])))


def installed_backbones() -> Iterator[tuple[str, Candidate]]:
    """Yield the backbones that installed packages carry, with the name under which a config finds them."""
    announced = [entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)]
    for name in dict.fromkeys([*KNOWN_PACKAGES, *announced]):
        yield from ((name, candidate) for candidate in locate_in_packages(name))
