"""What a pipeline requires: this package, and the package that its backbone came from.

In: a pipeline. Out: requirements in pip's format, in `nlp.meta["requirements"]`, from where `spacy package` writes them
into a wheel. The requirements of this package itself are not repeated: its own bounds say what is needed, whereas a
wheel's could only say what was installed where it was made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import requires, version
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from spacy.language import Language
from spacy.util import get_minor_version_range
from thinc.api import Model

from ..serialization.models import adapter_shims

OWN_NAME = "spacy-ptv2"
DROP_IN, EXTRA = "transformer_model", "spacy-transformers"  # a layer, and the extra of ours that it needs
# What version 0.1.0 recorded, always both: the versions that were installed at training.
RECORDED_BEFORE = (re.compile(r"torch>=\d+\.\d+"), re.compile(r"transformers>=\d+\.\d+,<6\.0\.0"))


def record_requirements(nlp: Language | None, models: Iterable[Model[Any, Any] | None]) -> None:
    """Add what some models of a pipeline need to its meta, replacing earlier requirements on the same packages."""
    if nlp is None:
        return
    models = list(models)
    backbones = [shim.recorded.requirement for model in models for shim in adapter_shims(model) if shim.is_initialized]
    needed = [own_requirement(models), *(requirement for requirement in backbones if requirement)]
    nlp.meta["requirements"] = merge(_without_recorded_before(nlp.meta.get("requirements", [])), needed)


def own_requirement(models: Iterable[Model[Any, Any] | None]) -> str:
    """Return the requirement of some models on this package: at least the version that saves, below the next minor."""
    nodes = (node for model in models if model is not None for node in model.walk())
    extra = f"[{EXTRA}]" if any(node.name == DROP_IN for node in nodes) else ""
    return f"{OWN_NAME}{extra}{get_minor_version_range(version(OWN_NAME))}"


def without_implied(found: Iterable[str], kept: Iterable[str]) -> list[str]:
    """Return requirements without those on packages that this package requires, because it bounds them itself.

    kept (Iterable[str]): Requirements to keep in any case, such as a user's own lines in meta.json.
    """
    stays = set(kept)
    extras = {"", *(extra for line in stays if _name_of(line) == OWN_NAME for extra in Requirement(line).extras)}
    implied = {
        canonicalize_name(line.name)
        for line in map(Requirement, requires(OWN_NAME) or ())
        if not line.marker or any(line.marker.evaluate({"extra": extra}) for extra in extras)
    }
    return [requirement for requirement in found if requirement in stays or _name_of(requirement) not in implied]


def _without_recorded_before(requirements: Iterable[str]) -> list[str]:
    lines = list(requirements)
    outdated = {line for line in lines for pattern in RECORDED_BEFORE if pattern.fullmatch(line)}
    return lines if len(outdated) < len(RECORDED_BEFORE) else [line for line in lines if line not in outdated]


def merge(present: Iterable[str], new: Iterable[str]) -> list[str]:
    """Return both lists as one, with each package once; a new requirement replaces an older one."""
    by_name = {_name_of(requirement): requirement for requirement in present}
    by_name.update({_name_of(requirement): requirement for requirement in new})
    return list(by_name.values())


def without(requirements: Iterable[str], removed: Iterable[str]) -> list[str]:
    """Return the requirements without those on packages in `removed`."""
    names = {_name_of(requirement) for requirement in removed}
    return [requirement for requirement in requirements if _name_of(requirement) not in names]


def _name_of(requirement: str) -> str:
    try:
        return canonicalize_name(Requirement(requirement).name)
    except InvalidRequirement:  # a user's own line in meta.json; pip will report it
        return requirement
