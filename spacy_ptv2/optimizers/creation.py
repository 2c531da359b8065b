"""Creates an optimizer for a loop of your own, without a config."""

from copy import deepcopy
from typing import Any

from spacy.language import Language
from spacy.util import registry
from thinc.api import Optimizer

from ..shipped import read_shipped
from .parameters import parameters_of_pipeline
from .protocol import introduce

OURS = "spacy_ptv2."
SHIPPED = "ner"  # whose optimizer trains well on most tasks


def create_optimizer(nlp: Language, total_steps: int, steps_per_epoch: int | None = None) -> Optimizer:
    """Build the optimizer of a pipeline's config for so many steps, or the shipped one if it names none of ours.

    nlp (Language): The pipeline. Its config is not changed.
    total_steps (int): How often `nlp.update` will be called. Over these steps the rates rise, then fall to 0.
    steps_per_epoch (int | None): For schedules by epoch; None for all steps.
    RETURNS (Optimizer): For `sgd=` of `nlp.initialize(get_examples)` or `nlp.resume_training()`, and of `nlp.update`.
    RAISES (PTuningError): P407 for fewer than one step.
    """
    block = deepcopy(dict(nlp.config["training"]["optimizer"]))
    if not str(block.get("@optimizers")).startswith(OURS):
        block = read_shipped(SHIPPED)["training"]["optimizer"]
    fill_in(block, {"total_steps": total_steps, "steps_per_epoch": steps_per_epoch or total_steps})
    optimizer: Optimizer = registry.resolve({"optimizer": block})["optimizer"]
    introduce(optimizer, nlp, parameters_of_pipeline)
    return optimizer


def fill_in(block: dict[str, Any], values: dict[str, int]) -> None:
    """Overwrite settings of these names in a config block and the blocks inside it."""
    for name, value in block.items():
        if name in values:
            block[name] = values[name]
        elif isinstance(value, dict):
            fill_in(value, values)
