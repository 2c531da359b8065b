"""``spacy ptv2 annotate``: annotates files of text, as many as there are, in shards."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from wasabi import msg

from ..errors import Errors, PTuningError, Warnings
from .messages import fail

if TYPE_CHECKING:
    from ..bulk.run import Summary

SHOWN = 10  # shards whose errors are printed
COLUMN = (
    "Fields of jsonl, csv and parquet: text=NAME has the text; annotations=NAME gets what is found; keep=NAME,NAME are "
    "carried through, by default all."
)


def annotate_cli(
    pipelines: Annotated[
        list[str], typer.Argument(help="Installed pipelines or folders; NAME=PIPELINE to name one.", show_default=False)
    ],
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="A file, or a folder: txt, jsonl, csv, parquet, spacy.")
    ],
    output: Annotated[Path, typer.Argument(help="The folder for the shards.")],
    format: Annotated[str, typer.Option("--format", "-f", help="jsonl, parquet or spacy.")] = "jsonl",
    column: Annotated[list[str] | None, typer.Option(help=COLUMN)] = None,
    lines: Annotated[bool, typer.Option("--lines", help="Of txt: each line is a document, not each file.")] = False,
    shard_size: Annotated[int, typer.Option(help="Documents in a shard.")] = 1000,
    shard: Annotated[str, typer.Option(help="I/N for every N-th shard, from the I-th on: for N jobs.")] = "1/1",
    workers: Annotated[int, typer.Option("--workers", "-w", help="Processes on this machine.")] = 1,
    gpu_id: Annotated[int, typer.Option("--gpu-id", "-g", help="A GPU, or -1 for the CPU.")] = -1,
    force: Annotated[bool, typer.Option("--force", "-F", help="Annotate anew what was made otherwise.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if a record could not be annotated.")] = False,
) -> None:
    """Annotate files in shards; a rerun goes on where one stopped, and any number of jobs share the work.

    Records that cannot be read or annotated are listed in OUTPUT/_bad. More: docs/guides/annotate.md.
    """
    from ..bulk.records import Columns
    from ..bulk.run import Running, Settings, annotate, parse_part
    from ..serving.naming import name_pipelines

    try:
        settings = Settings(format, Columns.parse(column or ()), lines, shard_size)
        running = Running(parse_part(shard), workers, gpu_id, force)
        summary = annotate(name_pipelines(pipelines), source, output, settings, running)
    except PTuningError as error:
        fail(f"Cannot annotate {source}", str(error))
    _report(summary, output, strict)


def _report(summary: Summary, output: Path, strict: bool) -> None:
    if summary.busy:
        msg.info(
            f"{summary.busy} shards are being written by other processes; repeat the command to see that they were"
        )
    if summary.bad:
        message = Warnings.PW50.format(n=summary.bad, total=summary.bad + summary.documents, path=output / "_bad")
        with redirect_stdout(sys.stderr):
            msg.warn(message)
    for message in list(summary.failed.values())[:SHOWN]:
        with redirect_stdout(sys.stderr):
            msg.fail(message)
    if summary.failed:
        fail(f"{len(summary.failed)} shards could not be annotated", "Repeat the command; what is finished is skipped.")
    if summary.bad and not summary.documents and not summary.busy:
        fail(Errors.P833.format(n=summary.bad, reason=summary.first_bad, path=output / "_bad"))
    msg.good(
        f"{output}: {summary.documents:,} documents, {summary.words:,} words in {summary.done + summary.finished:,} "
        f"shards, {summary.finished:,} of them from before"
    )
    if strict and summary.bad:
        raise SystemExit(1)
