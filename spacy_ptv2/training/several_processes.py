"""Training in several processes: each learns from its share of every batch, and all take the same steps.

In: a pipeline in each process, initialised from the same config. Out: as of `Trainer`; the first process evaluates, and
the others learn the score. In a step there is one sum over all processes, of all gradients in one flat tensor.
"""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, cast

import torch
from spacy.language import Language
from spacy.training import Example
from spacy.training.loop import subdivide_batch
from thinc.api import fix_random_seed, torch2xp, xp2torch

from ..distributed.group import Group
from ..errors import Errors, PTuningError
from ..optimizers.base import StepOptimizer
from ..optimizers.gradients import Gradients
from ..optimizers.parameters import parameters_of_pipeline
from ..pipeline.whole_batch import part_of
from .random_state import random_numbers_kept
from .trainer import Scores, Trainer

VERDICT, SIGNAL = 0, 1  # what is told in addition to gradients
N_TOLD = 2


class Reduction:
    """Sums gradients over all processes, in one flat tensor with a number for each of the tensors that has any.

    group (Group): The processes. weights (Gradients): All trained tensors by name, the same in all processes.
    is_interrupted (bool): Whether a signal came to this process; after a sum, whether one came to any.
    """

    def __init__(self, group: Group, weights: Gradients) -> None:
        self.group = group
        self.names = sorted(weights)
        self.shapes = {name: weights[name].shape for name in self.names}
        sizes = [int(weights[name].size) for name in self.names]
        self._flat = torch.zeros(sum(sizes) + len(sizes) + N_TOLD, device=group.device)
        *parts, self._has, self._told = self._flat.split([*sizes, len(sizes), N_TOLD])
        self._parts = dict(zip(self.names, parts, strict=True))
        self.is_interrupted = False

    def __call__(self, gradients: Gradients, has_diverged: bool) -> tuple[Gradients, bool]:
        """See `Reduce`. The first process alone judges the losses."""
        self._flat.zero_()
        for number, name in enumerate(self.names):
            if name in gradients:
                self._parts[name].copy_(xp2torch(gradients[name]).reshape(-1))
                self._has[number] = 1.0
        self._told[VERDICT] = float(has_diverged and self.group.is_first)
        self._told[SIGNAL] = float(self.is_interrupted)
        self.group.sum(self._flat)
        has, told = self._has.tolist(), self._told.tolist()
        self.is_interrupted = bool(told[SIGNAL])
        there = [name for name, n_processes in zip(self.names, has, strict=True) if n_processes]
        summed = {name: torch2xp(self._parts[name].clone().view(self.shapes[name])) for name in there}
        return cast(Gradients, summed), bool(told[VERDICT])


class ProcessTrainer(Trainer):
    """A pipeline that trains in several processes. It starts from the weights of the first one.

    nlp, settings: See `Trainer`. group (Group): The processes. seed (int): Of what differs between them, dropout.
    RAISES (PTuningError): P863 for an optimizer of others. (DistributedError): P862 if processes differ.
    """

    def __init__(self, nlp: Language, settings: dict[str, Any], group: Group, seed: int) -> None:
        super().__init__(nlp, settings)
        if not isinstance(self.optimizer, StepOptimizer):
            raise PTuningError(Errors.P863.format(got=type(self.optimizer).__name__))
        self.group = group
        self._seed = seed
        weights = {parameter.name: parameter.weights for parameter in parameters_of_pipeline(nlp).values()}
        shapes = ", ".join(f"{name} {weights[name].shape}" for name in sorted(weights))
        group.require_same({"trained tensors": hashlib.sha256(shapes.encode()).hexdigest()})
        self.reduction = Reduction(group, weights)
        self.optimizer.reduce = self.reduction

    def update(self, batch: Sequence[Example], progress: Mapping[str, int]) -> None:
        """See `Trainer.update`; here from this process's share of the batch."""
        self.before_update(progress)
        for whole in subdivide_batch(batch, self.settings["accumulate_gradient"]):  # type: ignore[no-untyped-call]
            own = share_of_batch(whole, self.group.rank, self.group.size)
            with part_of(whole), self._own_numbers(progress["step"]):
                if own:
                    self.learn_from(own)

    def evaluate(self) -> Scores:
        """Score the pipeline in the first process, and tell the others the main score; their own scores are empty."""
        scores = super().evaluate() if self.group.is_first else (0.0, {})
        main = torch.tensor([scores[0]], dtype=torch.float64)
        self.group.from_first(main)
        return float(main), scores[1]

    def sum_losses(self) -> None:
        """Sum the losses over all processes, as the first one reports them."""
        names = [name for name, _ in self.trained]
        own = [float(self.state.losses.get(name, 0.0)) for name in names]
        lists = self.group.gather(own)
        self.state.losses = dict(zip(names, map(sum, zip(*lists, strict=True)), strict=True))

    def agree_on_signal(self, number: int | None) -> int | None:
        """See `Trainer.agree_on_signal`; known to all after the next step."""
        agreed = self.reduction.is_interrupted
        self.reduction.is_interrupted = number is not None
        return (number or signal.SIGTERM) if agreed else None

    @contextmanager
    def _own_numbers(self, step: int) -> Iterator[None]:
        """Let dropout differ between the processes, while all else that is random stays the same in them."""
        with random_numbers_kept():
            fix_random_seed(_mix(self._seed, step, self.group.rank))
            yield


def share_of_batch(batch: Sequence[Example], rank: int, size: int) -> list[Example]:
    """Return the examples of one process: dealt out from the longest to the shortest, to and fro."""
    order = sorted(batch, key=lambda example: -len(example.predicted))
    own = (rank, 2 * size - 1 - rank)
    return [example for place, example in enumerate(order) if place % (2 * size) in own]


def _mix(*numbers: int) -> int:
    digest = hashlib.sha256(repr(numbers).encode()).digest()
    return int.from_bytes(digest[:4], "little")


def versions() -> dict[str, str]:
    """Return the releases that decide what is computed."""
    return {
        f"the version of {name}": version(name) for name in ("spacy-ptv2", "spacy", "thinc", "torch", "transformers")
    }
