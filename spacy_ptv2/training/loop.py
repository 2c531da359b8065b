"""The training loop: batches, steps and evaluations of one pipeline, or of several on the same batches.

Its results are those of spaCy's loop (`spacy.training.loop`): the same batches, weights, scores and files. In addition,
its state is one object (`Loop.state`), it can train several pipelines at once, and it tells our optimizers when a step
ends.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import IO, Any, Generic, TypeVar

from spacy.language import Language
from spacy.training import Example
from spacy.training.loop import DIR_MODEL_LAST, clean_output_dir
from thinc.api import fix_random_seed, set_gpu_allocator
from wasabi.printer import Printer

from .batches import read_batches
from .loggers import LogStep
from .progress import LoopState, RandomState
from .trainer import Corpora, Scores, Trainer, resolve_training

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
        """Take all steps, without evaluations. As in spaCy's loop, there is one more than `max_steps`."""
        state, max_steps = self.state, self.plan["max_steps"]
        self._begun = perf_counter() - state.seconds
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
        """Take all steps and evaluate. After each step, yield a report for each pipeline."""
        for _ in self.steps():
            if self.state.step % self.plan["eval_frequency"] == 0:
                scored = self.evaluate()
                self._note_time()
                self.state.random = RandomState.capture()
                yield [self._evaluated(*pair) for pair in zip(self.trainers, scored, strict=True)]
                for trainer in self.trainers:
                    trainer.take_losses()
            else:
                self._note_time()
                yield [Report(trainer, self._info(trainer, None, None), None) for trainer in self.trainers]
            if self._is_exhausted():
                return

    def _note_time(self) -> None:
        self.state.seconds = perf_counter() - self._begun

    def _evaluated(self, trainer: T, scores: Scores) -> Report[T]:
        score, others = scores
        trainer.state.results.append((score, self.state.step))
        return Report(trainer, self._info(trainer, score, others), score == trainer.state.best[0])

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
        return bool(patience) and all(self.state.step - t.state.best[1] >= patience for t in self.trainers)


def train(
    nlp: Language,
    output_path: Path | None = None,
    *,
    use_gpu: int = -1,
    stdout: IO[str] = sys.stdout,
    stderr: IO[str] = sys.stderr,
) -> tuple[Language, Path | None]:
    """Train a pipeline according to its config, as `spacy.training.loop.train` does.

    nlp (Language): Initialised. output_path (Path | None): For model-last and model-best.
    use_gpu (int): The active GPU, -1 for the CPU.
    stdout, stderr (IO[str]): For messages and the config's logger.
    RETURNS (tuple[Language, Path | None]): The pipeline, and the path of model-last.
    """
    config = nlp.config.interpolate()["training"]
    if config["seed"] is not None:
        fix_random_seed(config["seed"])
    if use_gpu >= 0 and config["gpu_allocator"]:
        set_gpu_allocator(config["gpu_allocator"])
    train_and_save(nlp, output_path, stdout=stdout, stderr=stderr)
    if output_path is None:
        return nlp, None
    last = output_path / DIR_MODEL_LAST
    stdout.write(Printer(no_print=True).good("Saved pipeline to output directory", last) + "\n")
    return nlp, last


def train_and_save(
    nlp: Language,
    output_path: Path | None,
    *,
    corpora: Corpora | None = None,
    stdout: IO[str] | None = None,
    stderr: IO[str] | None = None,
) -> None:
    """Train a pipeline with the random numbers that are next, log it, and save it at each evaluation.

    nlp, output_path: As above. corpora (Corpora | None): See `Trainer`.
    stdout, stderr (IO[str] | None): None for those of the process as they are now.
    """
    stdout, stderr = stdout or sys.stdout, stderr or sys.stderr
    loop = Loop([Trainer(nlp, resolve_training(nlp), corpora)])
    (trainer,) = loop.trainers
    clean_output_dir(output_path)
    _announce(trainer, stdout)
    with nlp.select_pipes(disable=trainer.settings["frozen_components"]):
        log_step, finalize = trainer.settings["logger"](nlp, stdout, stderr)
    try:
        with _saying_why_it_ended(stdout if output_path is not None else None):
            _run(loop, output_path, log_step)
    finally:
        finalize()
        if output_path is not None:
            trainer.save(output_path, is_best=False)


@contextmanager
def _saying_why_it_ended(stdout: IO[str] | None) -> Iterator[None]:
    """If an error ends the training, write it before the pipeline is saved, if that is."""
    try:
        yield
    except Exception as error:
        if stdout is not None:
            warning = f"Aborting and saving the final best model. Encountered exception: {error!r}"
            stdout.write(Printer(no_print=True).warn(warning) + "\n")
        raise


def _announce(trainer: Trainer, stdout: IO[str]) -> None:
    """Write what is about to be trained."""
    lines = [f"Pipeline: {trainer.nlp.pipe_names}"]
    if frozen := trainer.settings["frozen_components"]:
        lines.append(f"Frozen components: {frozen}")
    if annotating := trainer.settings["annotating_components"]:
        lines.append(f"Set annotations on update for: {annotating}")
    lines.append(f"Initial learn rate: {trainer.optimizer.learn_rate}")
    message = Printer(no_print=True)
    stdout.writelines(message.info(line) + "\n" for line in lines)


def _run(loop: Loop[Trainer], output_path: Path | None, log_step: LogStep) -> None:
    """Train, save at each evaluation, and log each step."""
    for (report,) in loop.run():
        if report.is_best is not None:
            report.trainer.describe(report.info)
            if output_path is not None:
                report.trainer.save(output_path, is_best=report.is_best)
                report.info["output_path"] = str(output_path / DIR_MODEL_LAST)
        log_step(None if report.is_best is None else report.info)
