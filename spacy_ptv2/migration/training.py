"""Turns a training of all weights of a transformer into the training of an adapter.

Corpora, readers, augmenters, loggers, score weights and the seed stay as they are.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from ..errors import Errors, PTuningError
from .blocks import NOTHING, dotted, function_of, value_of
from .foreign import UNFREEZING
from .recipe import Recipe
from .report import Report

OURS = "spacy_ptv2."
OF_SPACY = "spacy."
STEPS = ("accumulate_gradient", "max_steps", "max_epochs", "eval_frequency", "patience")
STREAMED = -1
MADE_BY_PLAN = "Set by [initialize.before_init] from the size of the corpus."
WHY_STEPS = {
    "accumulate_gradient": "Adapters learn from many small steps.",
    "max_steps": MADE_BY_PLAN,
    "max_epochs": MADE_BY_PLAN,
    "eval_frequency": MADE_BY_PLAN,
    "patience": "The rates fall to 0 at the last step, and the best pipeline so far is kept.",
}


def migrate_training(config: dict[str, Any], before: Mapping[str, Any], recipe: Recipe, report: Report) -> None:
    """Migrate the optimizer, the batches and the number of steps; leave a training by our optimizer as it is.

    config (dict[str, Any]): The config that is changed. before (Mapping[str, Any]): As it was.
    RAISES (PTuningError): P767.
    """
    training = config["training"]
    optimizer = training["optimizer"]
    if str(function_of(value_of(before, optimizer))).startswith(OURS):
        return
    new = recipe.training["optimizer"]
    why = "Adapters need about a hundred times the rates of fine-tuning, and each part its own (learn_rates)."
    report.changed("training.optimizer", function_of(optimizer) or optimizer, function_of(new), why)
    training["optimizer"] = new
    _migrate_batcher(training, before, recipe, report)
    _migrate_steps(config, before, recipe, report)
    if function_of(training["before_update"]) == UNFREEZING:
        report.dropped("training.before_update", training["before_update"], "The backbone stays frozen.")
        training["before_update"] = None


def let_train(config: dict[str, Any], before: Mapping[str, Any], names: Container[str], report: Report) -> None:
    """Remove migrated transformers from the components that are frozen: their backbones are frozen anyway.

    names (Container[str]): The migrated transformers.
    """
    training = config["training"]
    frozen = _names(value_of(before, training.get("frozen_components")))
    ours = [name for name in frozen if name in names]
    if not ours:
        return
    for setting, why in (
        ("frozen_components", "The backbone is frozen anyway, and its adapter has to be trained."),
        ("annotating_components", "Only a frozen transformer has to annotate for its listeners."),
    ):
        listed = _names(value_of(before, training.get(setting)))
        left = [name for name in listed if name not in ours]
        if left != listed:
            report.changed(dotted("training", setting), listed, left, why)
            training[setting] = left


def _names(value: Any) -> list[str]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _migrate_batcher(training: dict[str, Any], before: Mapping[str, Any], recipe: Recipe, report: Report) -> None:
    old, new = training["batcher"], recipe.training["batcher"]
    function = function_of(value_of(before, old))
    if function is not None and not function.startswith(OF_SPACY):
        why = f"Your own batcher is kept. Adapters train best on small batches: {recipe.file} has {new['size']} words."
        report.changed("training.batcher", function, function, why)
        return
    report.changed("training.batcher", old, new, WHY_STEPS["accumulate_gradient"])
    training["batcher"] = new


def _migrate_steps(config: dict[str, Any], before: Mapping[str, Any], recipe: Recipe, report: Report) -> None:
    training, initialize = config["training"], config["initialize"]
    plan = recipe.initialize["before_init"]
    callback = initialize["before_init"]
    is_own = callback is not None and function_of(value_of(before, callback)) != function_of(plan)
    keeps_steps = is_own or value_of(before, training["max_epochs"]) == STREAMED
    for name in STEPS[:1] if keeps_steps else STEPS:
        value = recipe.training[name]
        if training[name] != value:
            report.changed(dotted("training", name), training[name], value, WHY_STEPS[name])
        training[name] = value
    if keeps_steps:
        _keep_steps(training, before, is_own, report)
        return
    why = "It converts epochs to steps; a small corpus is repeated until an adapter has had its steps."
    report.changed("initialize.before_init", callback, plan, why)
    initialize["before_init"] = plan


def _keep_steps(training: dict[str, Any], before: Mapping[str, Any], is_own: bool, report: Report) -> None:
    """Keep the number of steps of a corpus that cannot be counted, or where the callback that counts has no place."""
    steps = training["max_steps"]
    value = value_of(before, steps)
    if value is not NOTHING and not value:
        raise PTuningError(Errors.P767.format(got=steps))
    reason = "Your own [initialize.before_init] is kept" if is_own else "A streamed corpus cannot be counted"
    report.changed("training.max_steps", steps, steps, f"{reason}, so the steps stay; the rates fall to 0 over them.")
