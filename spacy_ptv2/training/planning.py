"""From epochs to steps, so that one config trains well on corpora of any size.

spaCy's schedules count steps, people think in epochs, and the number of steps per epoch is known only once the corpus
is read. This callback reads it before initialisation and writes the steps into `nlp.config`, which the training loop
reads afterwards and saves with the pipeline.
"""

from collections.abc import Callable
from typing import Any

from spacy.language import Language
from spacy.util import registry, resolve_dot_names

from ..errors import Errors, PTuningError


def build_plan_steps_v1(epochs: int, evaluations_per_epoch: int = 1, min_steps: int = 0) -> Callable[[Language], None]:
    """Build the callback for ``[initialize.before_init]``.

    epochs (int): Passes over the training corpus. evaluations_per_epoch (int): How often the dev corpus is scored in
    each. min_steps (int): Steps that a prompt needs, however small the corpus: where the epochs give fewer, they are
    prolonged to so many passes, with as many evaluations all in all.
    RETURNS (Callable[[Language], None]): Sets max_steps, eval_frequency, and total_steps or steps_per_epoch wherever
    the optimizer's block has such a setting.
    RAISES (PTuningError): P406 on use if the corpus is empty; P407 for impossible numbers.
    """
    least = (("epochs", epochs, 1), ("evaluations_per_epoch", evaluations_per_epoch, 1), ("min_steps", min_steps, 0))
    for name, value, smallest in least:
        if value < smallest:
            raise PTuningError(Errors.P407.format(name=name, expected=f"at least {smallest}", got=value))

    def plan_steps(nlp: Language) -> None:
        steps_per_epoch = count_steps(nlp)
        steps = max(steps_per_epoch * epochs, min_steps)
        training: dict[str, Any] = nlp.config["training"]
        training["max_epochs"] = 0
        training["max_steps"] = steps
        training["eval_frequency"] = max(1, steps // (epochs * evaluations_per_epoch))
        _fill_in(training["optimizer"], {"total_steps": steps, "steps_per_epoch": steps_per_epoch})

    return plan_steps


def count_steps(nlp: Language) -> int:
    """Return the number of batches in one epoch of the training corpus.

    RAISES (PTuningError): P406 if there are none.
    """
    config = nlp.config.interpolate()
    blocks = {name: config["training"][name] for name in ("batcher", "train_corpus")}
    batcher = registry.resolve({"batcher": blocks["batcher"]})["batcher"]
    (corpus,) = resolve_dot_names(config, [blocks["train_corpus"]])
    n_steps = sum(1 for _ in batcher(corpus(nlp)))
    if n_steps == 0:
        raise PTuningError(Errors.P406)
    return n_steps


def _fill_in(block: dict[str, Any], values: dict[str, int]) -> None:
    """Overwrite settings of these names in a config block and the blocks inside it."""
    for name, value in block.items():
        if name in values:
            block[name] = values[name]
        elif isinstance(value, dict):
            _fill_in(value, values)
