"""``spacy ptv2 trials``: trains several variants of one config in one pass over the data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from wasabi import msg

from ..errors import Errors, PTuningError
from ..reading import parse_json
from .messages import fail
from .training_config import CodePath, ConfigPath, GpuId, read_training_config

if TYPE_CHECKING:
    from ..training.trials import Trial

WIDTHS = (20, 6, 8, 10, 8)


def trials_cli(
    ctx: typer.Context,
    config_path: ConfigPath,
    trials_path: Annotated[Path, typer.Argument(help="A JSON file with the settings of each trial, by name.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for trials.json and a folder per trial.")],
    code: CodePath = None,
    use_gpu: GpuId = -1,
) -> None:
    """Train several variants of a config in one pass over the data. Settings can be overridden as in `spacy train`."""
    from ..training.trials import train_trials

    config = read_training_config(ctx, config_path, code, use_gpu)
    msg.row(("TRIAL", "#", "LOSS", "SCORE", "SECONDS"), widths=WIDTHS)
    try:
        trials = train_trials(config, _read(trials_path), output, use_gpu=use_gpu, report=_print_row)
    except PTuningError as error:
        fail("Cannot train these trials", str(error))
    msg.good(f"Best: {trials[0].name}, {trials[0].best[0]:.4f}. All: {output / 'trials.json'}")


def _read(path: Path) -> Any:
    try:
        return parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise PTuningError(Errors.P721.format(got=f"{path}: {error}")) from error


def _print_row(trial: Trial, info: Mapping[str, Any]) -> None:
    loss = sum(info["losses"].values())
    row = (trial.name[: WIDTHS[0]], info["step"], f"{loss:.2f}", f"{info['score']:.4f}", info["seconds"])
    msg.row(row, widths=WIDTHS)
