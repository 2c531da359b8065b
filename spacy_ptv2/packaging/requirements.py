"""What a pipeline needs elsewhere: this package, torch, transformers, and the package that its backbone came from.

In: a pipeline. Out: requirements as pip takes them, in `nlp.meta["requirements"]`, from where `spacy package` writes
them into a wheel. spaCy itself finds only the packages whose functions the config names.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from spacy.language import Language
from spacy.util import get_minor_version_range
from thinc.api import Model

from ..layers.model_state import prompt_shims

BELOW = {"transformers": "<6.0.0"}  # what setup.cfg admits


def record_requirements(nlp: Language | None, models: Iterable[Model[Any, Any]]) -> None:
    """Add what some models of a pipeline need to its meta; what is there for the same package is replaced."""
    if nlp is None:
        return
    backbones = [shim.recorded.requirement for model in models for shim in prompt_shims(model) if shim.is_initialized]
    needed = [*library_requirements(), *(requirement for requirement in backbones if requirement)]
    nlp.meta["requirements"] = merge(nlp.meta.get("requirements", []), needed)


def library_requirements() -> list[str]:
    """Return what every pipeline of ours needs, from the installed minor version on."""
    own = f"spacy-ptv2{get_minor_version_range(version('spacy-ptv2'))}"
    return [own, *(f"{name}{_from_minor(name)}" for name in ("torch", "transformers"))]


def merge(present: Iterable[str], new: Iterable[str]) -> list[str]:
    """Return both lists as one, each package once; a new requirement takes the place of an older one."""
    by_name = {_name_of(requirement): requirement for requirement in present}
    by_name.update({_name_of(requirement): requirement for requirement in new})
    return list(by_name.values())


def without(requirements: Iterable[str], removed: Iterable[str]) -> list[str]:
    """Return the requirements that are on no package of `removed`."""
    names = {_name_of(requirement) for requirement in removed}
    return [requirement for requirement in requirements if _name_of(requirement) not in names]


def _from_minor(name: str) -> str:
    installed = Version(version(name))
    below = BELOW.get(name)
    return f">={installed.major}.{installed.minor}" + (f",{below}" if below else "")


def _name_of(requirement: str) -> str:
    try:
        return canonicalize_name(Requirement(requirement).name)
    except InvalidRequirement:  # a user's own line in meta.json; pip will say what it thinks of it
        return requirement
