"""``spacy ptv2 train``: `spacy train` that survives: checkpoints, `--resume`, and a clean end on Ctrl-C and SIGTERM."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from wasabi import msg

from ..errors import Errors, PTuningError
from .messages import fail, showing_config_errors
from .training_config import CodePath, ConfigPath, GpuId, read_training_config

if TYPE_CHECKING:
    from thinc.api import Config

    from ..training.checkpoint import Checkpoint
    from ..training.interruption import Interrupted


def train_cli(
    ctx: typer.Context,
    config_path: ConfigPath,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder for model-best, model-last and checkpoint.")
    ],
    resume: Annotated[bool, typer.Option("--resume", "-r", help="Go on from the checkpoint, if there is one.")] = False,
    force: Annotated[bool, typer.Option("--force", "-F", help="Remove a training that was interrupted.")] = False,
    minutes: Annotated[float, typer.Option("--checkpoint-minutes", help="The most between two checkpoints.")] = 10.0,
    code: CodePath = None,
    use_gpu: GpuId = -1,
) -> None:
    """Train a pipeline as `spacy train` does, with checkpoints: --resume goes on to what an uninterrupted run has.

    Settings can be overridden as in `spacy train`. Interrupted by Ctrl-C or SIGTERM, it ends after the step under way.
    """
    config = read_training_config(ctx, config_path, code, use_gpu)
    try:
        _train(config, config_path, output, resume, force, minutes, use_gpu)
    except PTuningError as error:
        fail("Cannot train", str(error))


def _train(
    config: Config, config_path: Path, output: Path, resume: bool, force: bool, minutes: float, use_gpu: int
) -> None:
    from spacy.training.initialize import init_nlp

    from ..training.interruption import Interrupted
    from ..training.run import Checkpointing, train
    from ..writing import working_alone

    with working_alone(output):
        start = _find_start(output, config, resume, force)
        if start is not None and start.is_finished:
            msg.good(f"This training has ended, after {start.n_steps} steps; its pipelines are in {output}")
            return
        msg.info(f"Saving to output directory: {output}")
        msg.divider("Initializing pipeline")
        with showing_config_errors(config_path):
            nlp = init_nlp(config, use_gpu=use_gpu)
        msg.good("Initialized pipeline")
        msg.divider("Training pipeline" if start is None else f"Training pipeline, from step {start.n_steps}")
        try:
            train(nlp, output, use_gpu=use_gpu, checkpointing=Checkpointing(config, minutes, start))
        except Interrupted as interrupted:
            _say_how_to_go_on(interrupted, output)


def _find_start(output: Path, config: Config, resume: bool, force: bool) -> Checkpoint | None:
    """Return the checkpoint to go on from. RAISES (PTuningError): P811-P813, and others of a damaged checkpoint."""
    from ..training.checkpoint import CHECKPOINT, check_config, read_checkpoint

    path = output / CHECKPOINT
    if force or not path.exists():
        if resume:
            msg.info(f"There is no checkpoint in {output}: training begins at the first step")
        return None
    checkpoint = read_checkpoint(path)
    if resume:
        check_config(checkpoint, config)
        return checkpoint
    if not checkpoint.is_finished:
        raise PTuningError(Errors.P811.format(path=path, steps=checkpoint.n_steps))
    return None


def _say_how_to_go_on(interrupted: Interrupted, output: Path) -> None:
    """Print the command that goes on, and exit as a process does that the signal ended."""
    command = shlex.join([*sys.argv, *(() if "--resume" in sys.argv or "-r" in sys.argv else ("--resume",))])
    msg.warn(f"Interrupted: {interrupted}. A checkpoint is in {output}. To go on:", command)
    raise SystemExit(128 + interrupted.number)
