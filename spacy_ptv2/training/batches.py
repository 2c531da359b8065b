"""The batches of a training, epoch by epoch, in the order of `spacy train`; also from where it was interrupted."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count, islice

from spacy.training import Example

from ..errors import Errors, PTuningError
from .progress import LoopState
from .random_state import RandomState
from .trainer import Trainer


def read_batches(trainer: Trainer, state: LoopState) -> Iterator[list[Example]]:
    """Yield the batches of all epochs after the position in `state`, and record the position there.

    The corpus is read when the first batch is requested. Each epoch shuffles the order of the previous epoch. With
    `max_epochs` = -1 the corpus is streamed instead: it is read again for each epoch, in its own order.
    RAISES (PTuningError): P406 if the corpus is empty; P816 if it is not the one that training began with.
    """
    if state.start is None:
        state.start = RandomState.capture()
    else:
        state.start.restore()
    position = (state.epoch, state.n_batches)
    epochs = _epochs(trainer, state)
    for epoch, batches in epochs:
        if epoch < position[0]:
            for _ in batches:  # a batcher whose sizes change over time goes on from what it has seen
                pass
            continue
        state.epoch, state.n_batches = epoch, 0
        if epoch == position[0]:
            state.n_batches = sum(1 for _ in islice(batches, position[1]))
            if state.random is not None:
                state.random.restore()
        for batch in batches:
            state.n_batches += 1
            yield list(batch)


def _epochs(trainer: Trainer, state: LoopState) -> Iterator[tuple[int, Iterator[list[Example]]]]:
    """Yield the number of each epoch and its batches."""
    max_epochs, batcher = trainer.settings["max_epochs"], trainer.settings["batcher"]
    is_streamed = max_epochs < 0
    examples = [] if is_streamed else _read_corpus(trainer, state)
    order = list(range(len(examples)))
    for epoch in count():
        if 1 <= max_epochs == epoch:
            return
        if epoch < len(state.shuffles):
            random.setstate(state.shuffles[epoch])
        else:
            state.shuffles.append(random.getstate())
        if not is_streamed:
            random.shuffle(order)
        yield epoch, iter(batcher(trainer.train_corpus(trainer.nlp) if is_streamed else [examples[at] for at in order]))


def _read_corpus(trainer: Trainer, state: LoopState) -> list[Example]:
    examples = list(trainer.train_corpus(trainer.nlp))
    if not examples:
        raise PTuningError(Errors.P406)
    size = f"{len(examples):,} examples with {sum(map(len, examples)):,} words"
    if state.corpus not in (None, size):
        raise PTuningError(Errors.P816.format(got=size, expected=state.corpus))
    state.corpus = size
    return examples
