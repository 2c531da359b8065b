"""Arguments shared by commands that take a training config, read in the same way as `spacy train` reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from spacy.cli._util import import_code, parse_config_overrides, setup_gpu, show_validation_error
from spacy.util import load_config
from thinc.api import Config

ConfigPath = Annotated[Path, typer.Argument(help="A training config.", exists=True)]
CodePath = Annotated[Path | None, typer.Option("--code", "-c", help="Python file with registered functions.")]
GpuId = Annotated[int, typer.Option("--gpu-id", "-g", help="GPU id, -1 for the CPU.")]


def read_training_config(ctx: typer.Context, path: Path, code: Path | None, use_gpu: int) -> Config:
    """Load a config with the overrides of the command line, not interpolated. Import its code and set the device.

    ctx (typer.Context): The context of a command that allows extra arguments.
    """
    overrides = parse_config_overrides(ctx.args)
    import_code(code)
    setup_gpu(use_gpu)
    with show_validation_error(path):
        return load_config(path, overrides=overrides, interpolate=False)
