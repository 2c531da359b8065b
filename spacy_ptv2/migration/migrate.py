"""Migrates a whole config: transformers, listeners, training, and what refers to any of them."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from spacy.language import DEFAULT_CONFIG
from spacy.util import CONFIG_SECTION_ORDER
from thinc.config import Config

from .blocks import NOTHING, repair_variables, value_of, walk
from .checks import check_known, check_rest, nothing_found, warn_of_sourced
from .encoders import migrate_inline, migrate_shared
from .foreign import kind_of
from .listeners import look_at, migrate_listeners
from .recipe import TEXTS, TOKENS, read_recipe
from .report import Change, Report
from .training import let_train, migrate_training

TEXT_FACTORIES = ("textcat", "textcat_multilabel")


@dataclass(frozen=True)
class Migration:
    """A migrated config.

    config (Config): For `spacy train`, not interpolated.
    changes (list[Change]): What is different, and why.
    backbones (list[str]): The names of the backbones that it needs, as far as the config gives them.
    """

    config: Config
    changes: list[Change]
    backbones: list[str]


def migrate_config(config: Config) -> Migration:
    """Return a config that trains an adapter of this package instead of a transformer of another one.

    config (Config): A training config of spacy-transformers or spacy-curated-transformers, complete or not, as
        `spacy.util.load_config` reads it. It is not changed.
    RAISES (PTuningError): P760 if there is nothing to migrate; P210, P761 to P764, P766 and P767 for what cannot be.
        Warns: PW40 of settings without a counterpart, PW41 of components from other pipelines, PW42 of a missing width.
    """
    report = Report()
    config = _fill(config, report)
    new = config.copy()
    _write_out_blocks(new, config)
    check_known(new, config)
    recipe = read_recipe(TEXTS if _is_about_texts(new, config) else TOKENS)
    transformers = migrate_shared(new, config, recipe, report)
    inline = migrate_inline(new, config, recipe, report)
    if not transformers and not inline:
        raise nothing_found(new)
    migrate_listeners(new, config, transformers, recipe, report)
    migrate_training(new, config, recipe, report)
    let_train(new, config, transformers, report)
    for setting, before, after in repair_variables(new, config):
        report.changed(setting, before, after, "The value itself, because what it referred to is gone.")
    check_rest(new)
    warn_of_sourced(new)
    blocks = [*transformers.values(), *(look_at(new, place) for place in inline)]
    names = [value_of(new, block["backbone"]["name"]) for block in blocks]
    given = [name for name in names if name is not NOTHING and name is not None]
    return Migration(new, report.changes, list(dict.fromkeys(given)))


def _fill(config: Config, report: Report) -> Config:
    """Return a config with spaCy's defaults in place of what is missing, without which it cannot be trained."""
    filled = Config(DEFAULT_CONFIG).merge(config)
    added = [name for name in DEFAULT_CONFIG if filled[name] != config.get(name)]
    if added:
        why = "spaCy's defaults, as `spacy init fill-config` adds them."
        report.changed(", ".join(f"[{name}]" for name in added), "incomplete", "complete", why)
    return Config(filled, section_order=CONFIG_SECTION_ORDER)


def _write_out_blocks(config: dict[str, Any], before: Mapping[str, Any]) -> None:
    """Put the blocks themselves in place of variables that lead to blocks of other packages."""
    for _, block in walk(config.get("components", {})):
        for key, given in block.items():
            value = value_of(before, given)
            if isinstance(given, str) and kind_of(value) is not None:
                block[key] = deepcopy(value)


def _is_about_texts(config: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Return whether all heads over transformers classify whole texts."""
    blocks = walk(config.get("components", {}), ("components",))
    heads = {place[1] for place, block in blocks if kind_of(block) in ("listener", "inline")}
    factories = {value_of(before, config["components"][name].get("factory")) for name in heads}
    return bool(factories) and factories <= set(TEXT_FACTORIES)
