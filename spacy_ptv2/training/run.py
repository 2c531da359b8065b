"""One training from its first step to its last, or from a checkpoint: logged, saved at each evaluation, interruptible.

In: an initialised pipeline. Out: model-last and model-best in a folder, as `spacy train` writes them, and a checkpoint
next to them if that was asked for. Each is written beside its place and swapped in, so that a process that is killed at
any instant leaves the last complete ones.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import IO, Any

from spacy.language import Language
from spacy.training.loop import DIR_MODEL_BEST, DIR_MODEL_LAST, clean_output_dir
from thinc.api import Config, fix_random_seed, set_gpu_allocator
from wasabi.printer import Printer

from ..distributed.group import Group
from ..errors import DiskError, DistributedError
from ..optimizers.protocol import abandon_step
from ..writing import restore_folder
from .checkpoint import CHECKPOINT, Checkpoint, restore, save_checkpoint
from .interruption import Interrupted, Interruption
from .loggers import Logger, LogStep
from .loop import Loop
from .out_of_memory import saying_what_to_lower
from .progress import LoopState
from .several_processes import ProcessTrainer
from .trainer import Corpora, Trainer, resolve_training


@dataclass(frozen=True)
class Checkpointing:
    """When a training writes checkpoints: at each evaluation, and between them.

    config (Config): What the training was asked for.
    minutes (float): The most time between two checkpoints, but a step is never interrupted.
    start (Checkpoint | None): From which it goes on.
    group (Group | None): The processes that train together, if there are several; the first one writes.
    """

    config: Config
    minutes: float
    start: Checkpoint | None = None
    group: Group | None = None


def train(
    nlp: Language,
    output_path: Path | None = None,
    *,
    use_gpu: int = -1,
    stdout: IO[str] | None = None,
    stderr: IO[str] | None = None,
    checkpointing: Checkpointing | None = None,
) -> tuple[Language, Path | None]:
    """Train a pipeline according to its config, as `spacy.training.loop.train` does.

    nlp (Language): Initialised. output_path (Path | None): For model-last and model-best.
    use_gpu (int): The active GPU, -1 for the CPU.
    stdout, stderr (IO[str] | None): For messages and the config's logger; None for what the process has now.
    checkpointing (Checkpointing | None): None for no checkpoints.
    RETURNS (tuple[Language, Path | None]): The pipeline, and the path of model-last.
    RAISES (Interrupted): After a checkpoint, if a signal ends the training.
    """
    stdout = stdout or sys.stdout
    config = nlp.config.interpolate()["training"]
    if config["seed"] is not None:
        fix_random_seed(config["seed"])
    if use_gpu >= 0 and config["gpu_allocator"]:
        set_gpu_allocator(config["gpu_allocator"])
    train_and_save(nlp, output_path, stdout=stdout, stderr=stderr, checkpointing=checkpointing)
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
    checkpointing: Checkpointing | None = None,
) -> None:
    """Train a pipeline with the random numbers that are next, log it, and save it at each evaluation.

    nlp, output_path, stdout, stderr, checkpointing: As above. corpora (Corpora | None): See `Trainer`.
    """
    stdout, stderr = stdout or sys.stdout, stderr or sys.stderr
    run = _Run(_trainer(nlp, corpora, checkpointing), output_path, checkpointing)
    run.begin()
    _announce(run.trainer, stdout)
    log_step, finalize = run.logger(stdout, stderr)
    is_saved = True
    try:
        run.log_again(log_step)
        with _saying_why_it_ended(stdout if output_path is not None else None), saying_what_to_lower(nlp.config):
            run.take_steps(log_step)
    except DiskError:
        is_saved = False
        raise
    except DistributedError:
        run.rescue()
        raise
    finally:
        finalize()
        if is_saved:
            run.save_last()
    run.finish()
    if n_left_out := getattr(run.trainer.optimizer, "n_left_out", 0):
        left_out = f"Steps left out because their gradients were not finite: {n_left_out}"
        stdout.write(Printer(no_print=True).warn(left_out) + "\n")


def _trainer(nlp: Language, corpora: Corpora | None, checkpointing: Checkpointing | None) -> Trainer:
    settings = resolve_training(nlp)
    if checkpointing is None or checkpointing.group is None:
        return Trainer(nlp, settings, corpora)
    return ProcessTrainer(nlp, settings, checkpointing.group, seed=settings["seed"])


class _Run:
    """A pipeline in training with its folder and its checkpoints."""

    def __init__(self, trainer: Trainer, folder: Path | None, checkpointing: Checkpointing | None) -> None:
        self.trainer = trainer
        self.loop = Loop([trainer])
        self.group = checkpointing.group if checkpointing else None
        self.checkpointing = checkpointing if folder is not None else None
        self.folder = folder if self.group is None or self.group.is_first else None
        self._written = monotonic()  # when the last checkpoint was
        self._last_step: LoopState | None = None  # what to go on from if another process is lost

    def logger(self, stdout: IO[str], stderr: IO[str]) -> tuple[LogStep, Callable[[], None]]:
        """Return the config's logger; one that does nothing in all processes but the first."""
        if self.group is not None and not self.group.is_first:
            return (lambda info: None), (lambda: None)
        with self.trainer.nlp.select_pipes(disable=self.trainer.settings["frozen_components"]):
            setup: Logger = self.trainer.settings["logger"]
            return setup(self.trainer.nlp, stdout, stderr)

    def begin(self) -> None:
        """Go to the checkpoint that this run starts from, or remove what an earlier training left in the folder."""
        start = self.checkpointing.start if self.checkpointing else None
        if self.folder is not None:
            for name in (DIR_MODEL_LAST, DIR_MODEL_BEST):
                restore_folder(self.folder / name)
        if start is not None:
            restore(start, self.trainer, self.loop.state)
        elif self.folder is not None:
            clean_output_dir(self.folder)
            (self.folder / CHECKPOINT).unlink(missing_ok=True)

    def log_again(self, log_step: LogStep) -> None:
        """Tell the logger of the evaluations before the checkpoint, so that its table and curve are whole."""
        state = self.trainer.state
        for info in state.reported:
            self.trainer.describe(info)
            log_step(self._with_path(info))
        if state.reported:
            for _ in range(self.loop.state.step - state.reported[-1]["step"]):
                log_step(None)

    def take_steps(self, log_step: LogStep) -> None:
        """Train, save at each evaluation, and log each step. RAISES (Interrupted): See `train`."""
        with Interruption() if self.checkpointing else _no_interruption() as interruption:
            for (report,) in self.loop.run():
                number = self.trainer.agree_on_signal(interruption.number)
                is_evaluated = report.is_best is not None
                if is_evaluated:
                    self.trainer.describe(report.info)
                    if self.folder is not None:
                        self.trainer.save(self.folder, is_best=bool(report.is_best))
                if is_evaluated or number or self._is_due():
                    self._save_checkpoint(is_finished=False)
                log_step(self._with_path(report.info) if is_evaluated else None)
                if number:
                    raise Interrupted(number, self.loop.state.n_steps)
                if self.group is not None:
                    self._last_step = self.loop.state.copy()

    def rescue(self) -> None:
        """After the loss of another process, write a checkpoint of the last step that all have taken."""
        abandon_step(self.trainer.optimizer)
        if self._last_step is not None:
            self.loop.state.go_back_to(self._last_step)
            self._save_checkpoint(is_finished=False)

    def save_last(self) -> None:
        """Write model-last."""
        if self.folder is not None:
            self.trainer.save(self.folder, is_best=False)

    def finish(self) -> None:
        """Note in the checkpoint that there is nothing left to train."""
        self._save_checkpoint(is_finished=True)

    def _is_due(self) -> bool:
        return self.checkpointing is not None and monotonic() - self._written >= 60 * self.checkpointing.minutes

    def _save_checkpoint(self, *, is_finished: bool) -> None:
        if self.checkpointing is None or self.folder is None:
            return
        path, config = self.folder / CHECKPOINT, self.checkpointing.config
        save_checkpoint(path, self.trainer, self.loop.state, config, is_finished=is_finished)
        self._written = monotonic()

    def _with_path(self, info: dict[str, Any]) -> dict[str, Any]:
        return info if self.folder is None else {**info, "output_path": str(self.folder / DIR_MODEL_LAST)}


@contextmanager
def _no_interruption() -> Iterator[Interruption]:
    """Yield an interruption that never comes: signals act as they always do."""
    yield Interruption()


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
