"""Factors on the learning rates, one per step, from 0 to 1."""

from collections.abc import Iterator

from ..errors import Errors, PTuningError


def build_warmup_linear_v1(total_steps: int, warmup: float = 0.06) -> Iterator[float]:
    """Rise linearly to 1 over a share of the training, then fall linearly to 0.

    total_steps (int): Steps of the whole training. warmup (float): Share of them that warms up, from 0 to 1.
    RAISES (PTuningError): P407.
    """
    if total_steps < 1:
        raise PTuningError(Errors.P407.format(name="total_steps", expected="at least 1", got=total_steps))
    if not 0.0 <= warmup <= 1.0:
        raise PTuningError(Errors.P407.format(name="warmup", expected="between 0 and 1", got=warmup))
    return _warmup_linear(total_steps, round(total_steps * warmup))


def build_epoch_decay_v1(steps_per_epoch: int, decay: float = 0.95) -> Iterator[float]:
    """Multiply by `decay` after each epoch, without warm-up, as the reference does for NER and role labelling.

    steps_per_epoch (int): Steps in an epoch. RAISES (PTuningError): P407.
    """
    if steps_per_epoch < 1:
        raise PTuningError(Errors.P407.format(name="steps_per_epoch", expected="at least 1", got=steps_per_epoch))
    return _epoch_decay(steps_per_epoch, decay)


def _warmup_linear(total_steps: int, warmup_steps: int) -> Iterator[float]:
    for step in range(total_steps):
        if step < warmup_steps:
            yield (step + 1) / warmup_steps
        else:
            yield (total_steps - step) / max(1, total_steps - warmup_steps)
    while True:
        yield 0.0


def _epoch_decay(steps_per_epoch: int, decay: float) -> Iterator[float]:
    factor = 1.0
    while True:
        for _ in range(steps_per_epoch):
            yield factor
        factor *= decay
