"""Arguments shared by commands that take a training config, read in the same way as `spacy train` reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from spacy.cli._util import import_code, parse_config_overrides, setup_gpu
from spacy.util import load_config
from thinc.api import Config

from ..errors import PTuningError
from .messages import fail, showing_config_errors
from .overrides import check_overrides, read_numbers

ConfigPath = Annotated[Path, typer.Argument(help="A training config.", exists=True)]
CodePath = Annotated[Path | None, typer.Option("--code", "-c", help="Python file with registered functions.")]
GpuId = Annotated[int, typer.Option("--gpu-id", "-g", help="GPU id, -1 for the CPU.")]


def read_training_config(ctx: typer.Context, path: Path, code: Path | None, use_gpu: int) -> Config:
    """Load a config with the overrides of the command line, not interpolated. Import its code and set the device.

    ctx (typer.Context): The context of a command that allows extra arguments.
    """
    with showing_config_errors(path, hint_fill=True):
        overrides = read_numbers(parse_config_overrides(ctx.args))
        import_code(code)
        config = load_config(path, interpolate=False)
    try:
        check_overrides(config, overrides, path)
    except PTuningError as error:
        fail("Cannot override these settings", str(error))
    setup_gpu(use_gpu)
    with showing_config_errors(path, hint_fill=True):
        return load_config(path, overrides=overrides, interpolate=False)
