"""``spacy ptv2 train``: `spacy train` that survives, alone or in several processes that torchrun starts.

It writes checkpoints, goes on from them with `--resume`, and ends clean on Ctrl-C and SIGTERM. Of several processes all
train, and the first one prints, evaluates and writes.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from wasabi import msg

from ..errors import Errors, PTuningError
from .messages import fail, showing_config_errors
from .training_config import CodePath, ConfigPath, GpuId, read_training_config

if TYPE_CHECKING:
    from thinc.api import Config

    from ..distributed.group import Group
    from ..training.checkpoint import Checkpoint
    from ..training.interruption import Interrupted


@dataclass(frozen=True)
class Asked:
    """What the command line says. See `train_cli`."""

    config: Config
    config_path: Path
    output: Path
    resume: bool
    force: bool
    minutes: float
    use_gpu: int


def train_cli(
    ctx: typer.Context,
    config_path: ConfigPath,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for pipelines and checkpoint.")],
    resume: Annotated[bool, typer.Option("--resume", "-r", help="Go on from the checkpoint, if there is one.")] = False,
    force: Annotated[bool, typer.Option("--force", "-F", help="Remove a training that was interrupted.")] = False,
    minutes: Annotated[float, typer.Option("--checkpoint-minutes", help="The most between two checkpoints.")] = 10.0,
    code: CodePath = None,
    use_gpu: GpuId = -1,
) -> None:
    """Train a pipeline as `spacy train` does, with checkpoints: --resume goes on to what an uninterrupted run has.

    Settings can be overridden as in `spacy train`. Interrupted by Ctrl-C or SIGTERM, it ends after the step under way.
    Started by `torchrun --nproc-per-node N -m spacy ptv2 train ...` it trains in N processes, on batches of the same
    size.
    """
    from ..distributed import group as processes

    if processes.world_size() > 1 and use_gpu >= 0:
        use_gpu = processes.local_rank()
    with _quiet() if processes.rank() else nullcontext():
        config = read_training_config(ctx, config_path, code, use_gpu)
        try:
            with _joined(use_gpu) as group:
                _train(Asked(config, config_path, output, resume, force, minutes, use_gpu), group)
        except PTuningError as error:
            fail("Cannot train", str(error))


def _train(asked: Asked, group: Group | None) -> None:
    from spacy.training.initialize import init_nlp

    from ..kernels.rounding import make_rounding_reproducible
    from ..training.interruption import Interrupted
    from ..training.run import Checkpointing, train
    from ..writing import working_alone

    make_rounding_reproducible()
    output = asked.output
    with working_alone(output) if group is None or group.is_first else nullcontext():
        start = _find_start(asked, group)
        if start is not None and start.is_finished:
            msg.good(f"This training has ended, after {start.n_steps} steps; its pipelines are in {output}")
            return
        msg.info(f"Saving to output directory: {output}")
        msg.divider("Initializing pipeline")
        with showing_config_errors(asked.config_path):
            nlp = init_nlp(asked.config if group is None else _with_seed(asked.config, group), use_gpu=asked.use_gpu)
        msg.good("Initialized pipeline")
        msg.divider("Training pipeline" if start is None else f"Training pipeline, from step {start.n_steps}")
        try:
            checkpointing = Checkpointing(asked.config, asked.minutes, start, group)
            train(nlp, output, use_gpu=asked.use_gpu, checkpointing=checkpointing)
        except Interrupted as interrupted:
            _say_how_to_go_on(interrupted, output)


def _find_start(asked: Asked, group: Group | None) -> Checkpoint | None:
    """Return the checkpoint to go on from. RAISES (PTuningError): P811-P813, and others of a damaged checkpoint."""
    from ..training.checkpoint import CHECKPOINT, check_config, parse_checkpoint

    path = asked.output / CHECKPOINT
    data = path.read_bytes() if path.exists() and not asked.force else b""
    if group is not None:  # the others may not see the first one's disk
        data = group.bytes_from_first(data)
    if not data:
        if asked.resume:
            msg.info(f"There is no checkpoint in {asked.output}: training begins at the first step")
        return None
    checkpoint = parse_checkpoint(data, path)
    if asked.resume:
        check_config(checkpoint, asked.config)
        return checkpoint
    if not checkpoint.is_finished:
        raise PTuningError(Errors.P811.format(path=path, steps=checkpoint.n_steps))
    return None


@contextmanager
def _joined(use_gpu: int) -> Iterator[Group | None]:
    """Meet the other processes, if a launcher has started several. RAISES (DistributedError): P860."""
    from ..distributed import group as processes

    if processes.world_size() == 1:
        yield None
        return
    import torch

    group = processes.Group(torch.device("cpu" if use_gpu < 0 else f"cuda:{use_gpu}"))
    try:
        yield group
    finally:
        group.leave()


def _with_seed(config: Config, group: Group) -> Config:
    """Return a config that is the same in all processes, with a seed. RAISES (DistributedError): P862 if it is not."""
    import torch
    from thinc.api import Config

    from ..training.checkpoint import what_matters
    from ..training.several_processes import versions

    own = Config().from_str(config.interpolate().to_str())
    group.require_same({**versions(), **what_matters(own)})
    seed = own["training"]["seed"]
    chosen = torch.tensor([int.from_bytes(os.urandom(4), "little") if seed is None else seed])
    group.from_first(chosen)
    return Config().from_str(config.to_str(), interpolate=False, overrides={"training.seed": int(chosen)})


@contextmanager
def _quiet() -> Iterator[None]:
    with Path(os.devnull).open("w", encoding="utf8") as nowhere, redirect_stdout(nowhere):
        yield


def _say_how_to_go_on(interrupted: Interrupted, output: Path) -> None:
    """Print the command that goes on, and exit as a process does that the signal ended."""
    given = sys.argv[1:]
    command = shlex.join(["python", "-m", "spacy", *given, *([] if {"--resume", "-r"} & set(given) else ["--resume"])])
    msg.warn(
        f"Interrupted: {interrupted}. A checkpoint is in {output}. To go on (by torchrun, if it began so):", command
    )
    raise SystemExit(128 + interrupted.number)
