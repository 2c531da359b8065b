"""Converts epochs to steps, so that one config trains well on corpora of any size.

spaCy's schedules count steps, people think in epochs, and the number of steps per epoch is known only once the corpus
is read. This callback reads it before initialisation and writes the steps into `nlp.config`, which the training loop
reads afterwards and saves with the pipeline. The callback is saved in it too, for training with that config again. In a
pipeline that was loaded, where `nlp.initialize` does not come from such a training, it does nothing.
"""

import warnings
from collections.abc import Callable
from typing import Any

from spacy.language import Language
from spacy.util import registry, resolve_dot_names

from ..errors import Errors, PTuningError, Warnings
from ..optimizers.creation import fill_in
from ..pipeline.private_settings import withdraw_downloads
from .trainer import ReadCorpus

STREAMED = -1  # spaCy's max_epochs for a corpus that is read again, in its own order, for each epoch
NO_PATH = "[E913]"  # the code of spaCy's error for a corpus without a path


def build_plan_steps_v1(epochs: int, evaluations_per_epoch: int = 1, min_steps: int = 0) -> Callable[[Language], None]:
    """Build the callback for ``[initialize.before_init]``.

    epochs (int): Passes over the training corpus.
    evaluations_per_epoch (int): How often the dev corpus is scored in each.
    min_steps (int): Least number of steps, however small the corpus. If the epochs have fewer, the corpus is passed
        more often, with as many evaluations in total.
    RETURNS (Callable[[Language], None]): Sets max_steps, eval_frequency, and total_steps or steps_per_epoch wherever
        the optimizer's block has them. Does nothing in a loaded pipeline; warns (PW13) if the corpus cannot be read.
    RAISES (PTuningError): P406 on use if the corpus is empty, P414 if it is streamed; P407 for impossible numbers.
    """
    least = (("epochs", epochs, 1), ("evaluations_per_epoch", evaluations_per_epoch, 1), ("min_steps", min_steps, 0))
    for name, value, smallest in least:
        if value < smallest:
            raise PTuningError(Errors.P407.format(name=name, expected=f"at least {smallest}", got=value))

    def plan_steps(nlp: Language) -> None:
        withdraw_downloads(nlp)  # also in components that are not ours
        if nlp.path is not None:
            return
        try:
            steps_per_epoch = count_steps(nlp)
        except (OSError, ValueError) as error:
            if isinstance(error, ValueError) and NO_PATH not in str(error):
                raise
            warnings.warn(Warnings.PW13.format(reason=error), stacklevel=2)
            return
        write_plan(nlp, steps_per_epoch, epochs, evaluations_per_epoch, min_steps)

    return plan_steps


def write_plan(
    nlp: Language, steps_per_epoch: int, epochs: int, evaluations_per_epoch: int = 1, min_steps: int = 0
) -> None:
    """Write the steps of a training into `nlp.config`. steps_per_epoch (int): Batches; others as above."""
    steps = max(steps_per_epoch * epochs, min_steps)
    training: dict[str, Any] = nlp.config["training"]
    training["max_epochs"] = 0
    training["max_steps"] = steps
    training["eval_frequency"] = max(1, steps // (epochs * evaluations_per_epoch))
    fill_in(training["optimizer"], {"total_steps": steps, "steps_per_epoch": steps_per_epoch})


def count_steps(nlp: Language, corpus: ReadCorpus | None = None) -> int:
    """Return the number of batches in one epoch of the training corpus.

    corpus (ReadCorpus | None): Its reader; None for the one that the config names.
    RAISES (PTuningError): P406 if there are none; P414 if the corpus is streamed and may have no end.
    """
    config = nlp.config.interpolate()
    if config["training"]["max_epochs"] == STREAMED:
        raise PTuningError(Errors.P414)
    blocks = {name: config["training"][name] for name in ("batcher", "train_corpus")}
    batcher = registry.resolve({"batcher": blocks["batcher"]})["batcher"]
    (configured,) = [corpus] if corpus else resolve_dot_names(config, [blocks["train_corpus"]])
    n_steps = sum(1 for _ in batcher(configured(nlp)))
    if n_steps == 0:
        raise PTuningError(Errors.P406)
    return n_steps
