"""``spacy ptv2 push``: uploads a slim pipeline to a hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from wasabi import msg

from ..errors import PTuningError
from .messages import fail


def push_cli(
    pipeline: Annotated[Path, typer.Argument(help="The folder of a trained pipeline.", exists=True, file_okay=False)],
    repo_id: Annotated[str, typer.Argument(metavar="REPO_ID", help="The repository on the hub, as OWNER/NAME.")],
    name: Annotated[str | None, typer.Option(help="The package's name, without the language.")] = None,
    version: Annotated[str | None, typer.Option(help="The package's version.")] = None,
    texts: Annotated[Path | None, typer.Option(help="A file of sample texts, one per line.")] = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
) -> None:
    """Upload a pipeline without its backbone to a hub, with a manifest, a sample and a model card.

    Log in with `hf auth login`, or set HF_TOKEN.
    """
    from ..packaging.hub import push

    try:
        commit = push(pipeline, repo_id, name=name, version=version, texts=texts, private=private, report=msg.text)
    except PTuningError as error:
        fail(f"Cannot push {pipeline}", str(error))
    msg.good(f"{repo_id} is at {commit}. To load it:")
    print(f'spacy_ptv2.load("{repo_id}", revision="{commit}")')
