"""``spacy ptv2 import`` and ``export``: adapters of PEFT (prompts and LoRA), THUDM/P-tuning-v2 and adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from wasabi import msg

from ..errors import PTuningError
from .messages import fail, saying


def import_cli(
    sources: Annotated[
        list[Path],
        typer.Argument(help="A folder (or safetensors file) written by another library; two for a prompt and LoRA."),
    ],
    output: Annotated[Path, typer.Argument(help="The pipeline folder to write.")],
    backbone: Annotated[str | None, typer.Option(help="Hub id or folder, if not the one the file names.")] = None,
    lang: Annotated[str, typer.Option(help="The language of the pipeline.")] = "en",
) -> None:
    """Make a pipeline from an adapter that PEFT, THUDM/P-tuning-v2 or adapters saved."""
    from ..interchange.pipelines import COMPONENT, describe, import_adapter
    from ..serialization.models import adapter_shims

    names = ", ".join(map(str, sources))
    with saying("PW18"):
        try:
            nlp = import_adapter(sources, backbone, lang)
        except PTuningError as error:
            fail(f"Cannot import {names}", str(error))
    nlp.to_disk(output)
    (shim,) = adapter_shims(nlp.get_pipe(COMPONENT).model)  # type: ignore[attr-defined]
    msg.good(f"{output}: {describe(shim.encoder)} over {shim.source.name}")
    msg.text(f'Train a head on it: [components.{COMPONENT}] with source = "{output}" in a config')


def export_cli(
    pipeline: Annotated[str, typer.Argument(help="A pipeline: a folder or an installed package.")],
    output: Annotated[Path, typer.Argument(help="The folder to write; it gets two folders for a prompt and LoRA.")],
    format_name: Annotated[str, typer.Option("--format", help="'peft', 'thudm' or 'adapters'.")] = "peft",
    component: Annotated[str | None, typer.Option(help="The component, if several have an adapter.")] = None,
) -> None:
    """Write a pipeline's prompt and LoRA in the format of another library."""
    import spacy

    from ..interchange.pipelines import WITH_LORA, describe, export_adapter

    with saying("PW04"):
        try:
            shim = export_adapter(spacy.load(pipeline), output, format_name, component)
        except PTuningError as error:
            fail(f"Cannot export {pipeline}", str(error))
    written = describe(shim.encoder, with_lora=format_name in WITH_LORA)
    msg.good(f"{output}: {written}, as {format_name} reads it")
