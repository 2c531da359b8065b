"""The training loop: batches, steps and evaluations of one pipeline, or of several on the same batches.

Its results are those of spaCy's loop (`spacy.training.loop`): the same batches, weights, scores and files. In addition,
its state is one object (`Loop.state`), it can train several pipelines at once, and it tells our optimizers when a step
ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Generic, TypeVar

from spacy.training import Example

from .batches import read_batches
from .progress import LoopState
from .trainer import Scores, Trainer

T = TypeVar("T", bound=Trainer)


@dataclass(frozen=True)
class Report(Generic[T]):
    """A pipeline after a step.

    info (dict[str, Any]): What spaCy's loggers expect: epoch, step, words, seconds; losses since the last evaluation;
        score and other_scores, None without an evaluation; checkpoints, the scores and steps of all evaluations.
    is_best (bool | None): Whether no earlier score was better; None without an evaluation.
    """

    trainer: T
    info: dict[str, Any]
    is_best: bool | None


class Loop(Generic[T]):
    """Trains one or several pipelines. The first one's config decides on batches, evaluations, patience and the end.

    trainers (Sequence[Trainer]): The pipelines.
    """

    def __init__(self, trainers: Sequence[T]) -> None:
        self.trainers = list(trainers)
        self.state = LoopState(pipelines=[trainer.state for trainer in trainers])
        self.plan = self.trainers[0].settings
        self._begun = 0.0  # when the clock would have shown 0 seconds

    def update(self, batch: Sequence[Example], progress: dict[str, int]) -> None:
        """Let all pipelines learn from a batch, without a step. progress (dict[str, int]): See `Trainer.update`."""
        for trainer in self.trainers:
            trainer.update(batch, progress)

    def evaluate(self) -> list[Scores]:
        """Score all pipelines."""
        return [trainer.evaluate() for trainer in self.trainers]

    def steps(self) -> Iterator[None]:
        """Take all steps that are left, without evaluations. As in spaCy's loop, there is one more than `max_steps`."""
        state, max_steps = self.state, self.plan["max_steps"]
        self._begun = perf_counter() - state.seconds
        if max_steps and state.step >= max_steps:
            return
        for batch in read_batches(self.trainers[0], state):
            self.update(batch, {"step": state.n_steps, "epoch": state.epoch})
            for trainer in self.trainers:
                trainer.step()
            state.n_steps += 1
            state.words += sum(len(example) for example in batch)
            yield
            if max_steps and state.step >= max_steps:
                return

    def run(self) -> Iterator[list[Report[T]]]:
        """Take all steps that are left, and evaluate. After each step, yield a report for each pipeline."""
        if self._is_exhausted():
            return
        for _ in self.steps():
            if self.state.step % self.plan["eval_frequency"] == 0:
                scored = self.evaluate()
                self._note_time()
                yield [self._evaluated(*pair) for pair in zip(self.trainers, scored, strict=True)]
            else:
                self._note_time()
                yield [Report(trainer, self._info(trainer, None, None), None) for trainer in self.trainers]
            if self._is_exhausted():
                return

    def _note_time(self) -> None:
        self.state.seconds = perf_counter() - self._begun

    def _evaluated(self, trainer: T, scores: Scores) -> Report[T]:
        score, others = scores
        trainer.sum_losses()
        trainer.state.results.append((score, self.state.step))
        info = self._info(trainer, score, others)
        trainer.state.reported.append(info)
        trainer.state.take_losses()
        return Report(trainer, info, score == trainer.state.best[0])

    def _info(self, trainer: T, score: float | None, other_scores: dict[str, Any] | None) -> dict[str, Any]:
        state = self.state
        return {
            "epoch": state.epoch,
            "step": state.step,
            "score": score,
            "other_scores": other_scores,
            "losses": trainer.state.losses,
            "checkpoints": trainer.state.results,
            "seconds": int(state.seconds),
            "words": state.words,
        }

    def _is_exhausted(self) -> bool:
        """Return whether no pipeline has improved in the last `patience` steps."""
        patience = self.plan["patience"]
        return bool(patience) and all(
            trainer.state.results and self.state.step - trainer.state.best[1] >= patience for trainer in self.trainers
        )
