"""The batches of a training run, epoch by epoch, in the order of `spacy train`."""

from __future__ import annotations

import random
from collections.abc import Iterator

from spacy.training import Example

from ..errors import Errors, PTuningError
from .progress import LoopState
from .trainer import Trainer


def read_batches(trainer: Trainer, state: LoopState) -> Iterator[list[Example]]:
    """Yield the batches of all epochs, and record the position in `state`.

    The corpus is read when the first batch is requested. Each epoch shuffles the order of the previous epoch. With
    `max_epochs` = -1 the corpus is streamed instead: it is read again for each epoch, in its own order.
    RAISES (PTuningError): P406 if the corpus is empty.
    """
    max_epochs, batcher = trainer.settings["max_epochs"], trainer.settings["batcher"]
    is_streamed = max_epochs < 0
    examples = [] if is_streamed else list(trainer.train_corpus(trainer.nlp))
    if not examples and not is_streamed:
        raise PTuningError(Errors.P406)
    order = list(range(len(examples)))
    while max_epochs < 1 or state.epoch != max_epochs:
        if not is_streamed:
            random.shuffle(order)
            state.order = list(order)
        chosen = trainer.train_corpus(trainer.nlp) if is_streamed else [examples[place] for place in order]
        for batch in batcher(chosen):
            state.n_batches += 1
            yield list(batch)
        state.epoch, state.n_batches = state.epoch + 1, 0
