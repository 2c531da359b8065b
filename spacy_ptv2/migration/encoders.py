"""Turns transformers of other packages, shared ones and those inside a component, into ours."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from ..errors import Errors, PTuningError
from .blocks import NOTHING, Place, dotted, function_of, value_of, walk
from .foreign import CURATED, CURATED_LOADER, FACTORIES, NO_ANNOTATIONS, kind_of
from .model_settings import ONLY_TENSOR, take_model_settings
from .recipe import Recipe
from .report import Report
from .work import Work


def migrate_shared(
    config: dict[str, Any], before: Mapping[str, Any], recipe: Recipe, report: Report
) -> dict[str, dict[str, Any]]:
    """Migrate the components that share a transformer with others.

    config (dict[str, Any]): The config that is changed. before (Mapping[str, Any]): As it was.
    RETURNS (dict[str, dict]): Our model blocks, by the names of their components.
    RAISES (PTuningError): P210, P761.
    """
    migrated = {}
    for name, component in config.get("components", {}).items():
        model = component.get("model", {})
        if value_of(before, component.get("factory")) not in FACTORIES:
            continue
        new = deepcopy(recipe.component)
        work = Work(before, report, dotted("components", name), dict(component), new)
        inner = Work(before, report, work.setting("model"), dict(model), new["model"])
        _take_from_component(work)
        _take_from_loaders(inner, dotted("initialize", "components", name), config)
        take_model_settings(inner, recipe.file)
        component.clear()
        component.update(new)
        migrated[name] = new["model"]
    return migrated


def migrate_inline(config: dict[str, Any], before: Mapping[str, Any], recipe: Recipe, report: Report) -> list[Place]:
    """Migrate the transformers that components have for themselves. RETURNS: Where they are.

    config, before: As above. RAISES (PTuningError): P210, P761.
    """
    places = []
    for place, block in walk(config.get("components", {}), ("components",)):
        if kind_of(block) == "inline":
            work = Work(before, report, dotted(*place), dict(block), deepcopy(recipe.component["model"]))
            take_model_settings(work, recipe.file)
            block.clear()
            block.update(work.new)
            places.append(place)
    return places


def _take_from_component(work: Work) -> None:
    factory, _ = work.take("factory"), work.take("model")
    after = work.new["factory"]
    work.report.changed(work.setting("factory"), factory, after, "It trains and saves the adapter alone.")
    items, setter = work.take("max_batch_items"), work.take("set_extra_annotations")
    if items is not NOTHING:
        work.new["model"]["windows"]["batch_pieces"] = items
        after = f"model.windows.batch_pieces = {items}"
        work.report.changed(work.setting("max_batch_items"), items, after, "The same bound, in pieces.")
    if function_of(work.value(setter)) == NO_ANNOTATIONS:
        work.report.dropped(work.setting("set_extra_annotations"), setter, "It set nothing.")
    elif setter is not NOTHING and setter is not None:
        work.report.lost(work.setting("set_extra_annotations"), setter, ONLY_TENSOR)
    work.drop("all_layer_outputs", "The adapter has a learned mix of all layers.")
    work.drop("frozen", "The backbone is always frozen, and the adapter is trained.")
    work.end()


def _take_from_loaders(work: Work, where: str, config: dict[str, Any]) -> None:
    """Take the name of the backbone from what fills a curated transformer, and drop the sizes, which are its own.

    where (str): The name of the section that fills it; the section is removed.
    RAISES (PTuningError): P761 if the transformer is filled from anything but the hub.
    """
    section = config.get("initialize", {}).get("components", {})
    loaders = section.pop(where.rpartition(".")[2], None)
    if not (function_of(work.old) or "").startswith(CURATED):
        if loaders:
            work.report.lost(where, loaders, "The component reads no settings when it is initialised.")
        return
    loader = value_of(work.config, (loaders or {}).get("encoder_loader"))
    if function_of(loader) != CURATED_LOADER:
        got = function_of(loader) or "nothing"
        raise PTuningError(Errors.P761.format(setting=dotted(where, "encoder_loader"), got=got))
    for name in [name for name in work.old if not name.startswith("@") and name != "with_spans"]:
        work.drop(name, "Read from the backbone's own files.")
    work.report.dropped(where, loaders, "The name of the backbone says which model it is.")
    work.old["name"] = loader.get("name")
    work.new["backbone"]["revision"] = loader.get("revision")
