"""``spacy ptv2 tune``: searches for better settings of a config, several trials at a time in one pass over the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from wasabi import msg

from ..errors import PTuningError
from .messages import fail
from .overrides import check_overrides
from .training_config import CodePath, ConfigPath, GpuId, read_training_config

if TYPE_CHECKING:
    from ..training.trials import Trial
    from ..tuning.results import Result
    from ..tuning.space import Space

WIDTHS = (12, 6, 8, 8, 8, 8)


def tune_cli(
    ctx: typer.Context,
    config_path: ConfigPath,
    space_path: Annotated[Path, typer.Argument(help="A JSON file: for each setting that varies, what it may be.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for best.cfg, the trials and the study.")],
    trials: Annotated[int, typer.Option("--trials", "-n", help="How many, with the config as it is.", min=1)] = 12,
    group: Annotated[int, typer.Option("--group", help="How many train in one pass.", min=1)] = 4,
    seed: Annotated[int, typer.Option("--seed", help="Of the search; the config has its own.", min=0)] = 0,
    prune: Annotated[bool, typer.Option("--prune/--no-prune", help="End trials early that are below others.")] = True,
    code: CodePath = None,
    use_gpu: GpuId = -1,
) -> None:
    """Search for better settings of a config with Optuna. The config as it is is the first trial.

    An interrupted search continues where it was: what was in training then is trained again. Settings can be overridden
    for all trials as in `spacy train`.
    """
    from ..tuning.space import read_space
    from ..tuning.tune import Tuning, tune

    config = read_training_config(ctx, config_path, code, use_gpu)
    try:
        space = read_space(space_path)
        check_overrides(config, space, config_path, mark="")
        tuning = Tuning(config, space, trials, group, seed, prune, use_gpu)
        results = tune(tuning, output, _Printer())
    except PTuningError as error:
        fail("Cannot tune", str(error))
    _show(results, space, output)


def _show(results: Sequence[Result], space: Space, output: Path) -> None:
    from spacy.training.loop import DIR_MODEL_BEST

    from ..tuning.results import TRIALS, best_of
    from ..tuning.table import aligns_of, header_of, rows_of
    from ..tuning.tune import BEST_CONFIG, TABLE

    settings = list(space)
    msg.table(rows_of(results, settings), header=header_of(settings), divider=True, aligns=aligns_of(settings))
    best = best_of(results)
    if best is not None:
        pipeline = output / TRIALS / best.name / DIR_MODEL_BEST
        msg.good(f"Best: {best.name}, {best.score:.4f}. Its config is {output / BEST_CONFIG}, its pipeline {pipeline}")
    msg.info(f"The table is {output / TABLE}; `spacy ptv2 report {output}` shows all of it as a page")


class _Printer:
    """Prints how a search goes on; see `tuning.tune.Watcher`."""

    def on_group(self, names: Sequence[str], n_left: int, seconds_left: float | None) -> None:
        left = "" if seconds_left is None else f", about {_minutes(seconds_left)} min for all"
        msg.divider(f"{names[0]} to {names[-1]}" if len(names) > 1 else names[0])
        msg.info(f"{len(names)} of {n_left} trials that are left{left}")
        msg.row(("TRIAL", "#", "LOSS", "SCORE", "SECONDS", "MIN LEFT"), widths=WIDTHS)

    def on_evaluation(self, trial: Trial, info: Mapping[str, Any], seconds_left: float | None) -> None:
        left = "" if seconds_left is None else _minutes(seconds_left)
        loss = sum(info["losses"].values())
        row = (trial.name, info["step"], f"{loss:.2f}", f"{info['score']:.4f}", info["seconds"], left)
        msg.row(row, widths=WIDTHS)

    def on_note(self, text: str) -> None:
        msg.warn(text)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}"
