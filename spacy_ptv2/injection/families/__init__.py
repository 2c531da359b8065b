"""The model families that can take an adapter, one module per family.

Another package can add one through the entry-point group ``spacy_ptv2_families``. The entry's name is the `model_type`
in the model's config, its value the `Family`, as ``module:Class``.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from ...errors import BackboneError, Errors
from ..family import Family
from .albert import AlbertRule
from .bert import BertRule, RobertaRule
from .deberta import DebertaRule, DebertaV2Rule
from .decoders import GPT2Rule, LlamaRule
from .distilbert import DistilBertRule
from .mobilebert import MobileBertRule
from .modernbert import ModernBertRule
from .mpnet import MPNetRule
from .t5 import T5Rule

ENTRY_POINT_GROUP = "spacy_ptv2_families"
RULES: tuple[Family, ...] = (
    AlbertRule(),
    BertRule(),
    DebertaRule(),
    DebertaV2Rule(),
    DistilBertRule(),
    GPT2Rule(),
    LlamaRule(),
    MobileBertRule(),
    ModernBertRule(),
    MPNetRule(),
    RobertaRule(),
    T5Rule(),
)


def find_family(config: Any, where: object) -> Family:
    """Return the injection rule for a model's config.

    where (object): Where the config comes from, for messages.
    RAISES (BackboneError): P104 (unknown family), P107 (a setting rules it out), P110 (an encoder-decoder).
    """
    rule = _builtin(config.model_type) or _from_entry_point(config.model_type)
    if rule is None:
        got, supported = config.model_type, ", ".join(supported_families())
        if getattr(config, "is_encoder_decoder", False):
            raise BackboneError(Errors.P110.format(path=where, got=got, supported=supported))
        raise BackboneError(Errors.P104.format(path=where, got=got, supported=supported))
    reason = _pruned(config) or rule.refusal(config)
    if reason is not None:
        raise BackboneError(Errors.P107.format(path=where, reason=reason))
    return rule


def supported_families() -> list[str]:
    """Return the `model_type`s of all families that can take an adapter, including those from other packages."""
    announced = {entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)}
    return sorted(announced.union(*(rule.model_types for rule in RULES)))


def _pruned(config: Any) -> str | None:
    """Return why a model with pruned heads cannot take a prompt, or None if it has all of its heads."""
    if getattr(config, "pruned_heads", None):
        return "some of its heads are cut out (pruned_heads), so that the layers' keys differ in width"
    return None


def _builtin(model_type: str) -> Family | None:
    return next((rule for rule in RULES if model_type in rule.model_types), None)


def _from_entry_point(model_type: str) -> Family | None:
    for entry in entry_points(group=ENTRY_POINT_GROUP, name=model_type):
        rule: Family = entry.load()()
        return rule
    return None
