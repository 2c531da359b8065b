"""``spacy ptv2 import`` and ``export``: prompts of PEFT, THUDM/P-tuning-v2 and adapters."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated

import typer
from wasabi import msg

from ..errors import PTuningError


def import_cli(
    source: Annotated[Path, typer.Argument(help="A folder (or safetensors file) written by another library.")],
    output: Annotated[Path, typer.Argument(help="The pipeline folder to write.")],
    backbone: Annotated[str | None, typer.Option(help="Hub id or folder, if the file names none or another.")] = None,
    lang: Annotated[str, typer.Option(help="The language of the pipeline.")] = "en",
) -> None:
    """Make a pipeline with the prompt of a PEFT, THUDM/P-tuning-v2 or adapters checkpoint."""
    from ..interchange.pipelines import COMPONENT, import_adapter
    from ..serialization.models import adapter_shims

    try:
        nlp = import_adapter(source, backbone, lang)
    except PTuningError as error:
        msg.fail(f"Cannot import {source}", str(error), exits=1)
    nlp.to_disk(output)
    (shim,) = adapter_shims(nlp.get_pipe(COMPONENT).model)  # type: ignore[attr-defined]
    prompt = shim.encoder.prompt
    msg.good(f"{output}: {prompt.longest} positions in {len(prompt.layers)} layers over {shim.source.name}")
    msg.text(f'Train a head on it: [components.{COMPONENT}] with source = "{output}" in a config')


def export_cli(
    pipeline: Annotated[str, typer.Argument(help="A pipeline: a folder or an installed package.")],
    output: Annotated[Path, typer.Argument(help="The folder to write.")],
    format_name: Annotated[str, typer.Option("--format", help="'peft', 'thudm' or 'adapters'.")] = "peft",
    component: Annotated[str | None, typer.Option(help="The component, if several have a prompt.")] = None,
) -> None:
    """Write a pipeline's prompt as another library reads it."""
    import spacy

    from ..interchange.pipelines import export_adapter

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            shim = export_adapter(spacy.load(pipeline), output, format_name, component)
        except PTuningError as error:
            msg.fail(f"Cannot export {pipeline}", str(error), exits=1)
    for warning in caught:
        if "PW04" in str(warning.message):
            msg.warn(str(warning.message))
    prompt = shim.encoder.prompt
    msg.good(f"{output}: {prompt.longest} positions in {len(prompt.layers)} layers, as {format_name} reads it")
