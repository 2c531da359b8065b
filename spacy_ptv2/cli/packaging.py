"""``spacy ptv2 package``, ``package-backbone``, ``verify`` and ``info``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from wasabi import msg

from ..errors import PTuningError
from .messages import fail

if TYPE_CHECKING:
    from ..packaging.verification import Check

Force = Annotated[bool, typer.Option("--force", "-F", help="Overwrite a wheel of the same name and version.")]
Pipeline = Annotated[str, typer.Argument(help="A pipeline: a folder or an installed package.")]


def package_cli(
    pipeline: Annotated[Path, typer.Argument(help="The folder of a trained pipeline.", exists=True, file_okay=False)],
    output: Annotated[Path, typer.Argument(help="The folder to write the wheel to.")],
    name: Annotated[str | None, typer.Option(help="The package's name, without the language.")] = None,
    version: Annotated[str | None, typer.Option(help="The package's version.")] = None,
    bundle: Annotated[bool, typer.Option("--bundle", help="Put the backbone into the wheel.")] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="Store the bundled backbone as float16.")] = False,
    texts: Annotated[Path | None, typer.Option(help="A file of sample texts, one per line.")] = None,
    force: Force = False,
) -> None:
    """Build an installable wheel with a manifest and a sample of predictions, with or without its backbone."""
    from ..packaging.wheels import package_pipeline

    try:
        wheel = package_pipeline(
            pipeline,
            output,
            name=name,
            version=version,
            bundle=bundle,
            fp16=fp16,
            texts=texts,
            overwrite=force,
            report=msg.text,
        )
    except PTuningError as error:
        fail(f"Cannot package {pipeline}", str(error))
    msg.good(f"{wheel}: {wheel.stat().st_size / 1e6:.2f} MB")


def package_backbone_cli(
    source: Annotated[str, typer.Argument(help="A hub id or a folder.")],
    output: Annotated[Path, typer.Argument(help="The folder to write the wheel to.")],
    name: Annotated[str | None, typer.Option(help="The distribution's name.")] = None,
    version: Annotated[str, typer.Option(help="The package's version.")] = "1.0.0",
    force: Force = False,
) -> None:
    """Build an installable wheel of a backbone alone, which pipelines without one can share."""
    from ..packaging.backbone_wheels import package_backbone

    try:
        wheel = package_backbone(source, output, name=name, version=version, overwrite=force, report=msg.text)
    except PTuningError as error:
        fail(f"Cannot package {source}", str(error))
    msg.good(f"{wheel}: {wheel.stat().st_size / 1e6:.2f} MB")


def verify_cli(pipeline: Pipeline) -> None:
    """Check the files, tensors, backbone and sample predictions of a pipeline. Exit with 1 if anything is wrong."""
    from ..packaging.verification import verify

    failed = []
    try:
        for check in verify(pipeline):
            _show_check(check)
            if check.outcome == "failed":
                failed.append(check.what)
    except PTuningError as error:
        fail(f"Cannot verify {pipeline}", str(error))
    if failed:
        fail(f"{pipeline}: failed: {', '.join(failed)}")
    msg.good(f"{pipeline}: nothing wrong was found")


def _show_check(check: Check) -> None:
    title = f"{check.what}: {check.outcome}"
    if check.outcome == "passed":
        msg.good(title, check.detail)
    elif check.outcome == "failed":
        msg.fail(title, check.detail)
    else:
        msg.info(title, check.detail)


def info_cli(
    pipeline: Annotated[str | None, typer.Argument(help="A folder or an installed package.")] = None,
) -> None:
    """Show what a pipeline has trained and over which backbone. Without a pipeline: the installed backbones."""
    if pipeline is None:
        _show_installed()
    else:
        _show_pipeline(pipeline)


def _show_installed() -> None:
    from .. import __version__
    from ..packaging.summary import installed_backbones

    rows = [(name, found.requirement or "", found.revision or "", found.path) for name, found in installed_backbones()]
    msg.text(f"spacy-ptv2 {__version__}")
    msg.table(rows, header=("backbone", "package", "revision", "folder"), divider=True)


def _show_pipeline(pipeline: str) -> None:
    import spacy

    from ..packaging.summary import summarize

    try:
        summary = summarize(spacy.load(pipeline))
    except (PTuningError, OSError) as error:
        fail(f"Cannot load {pipeline}", str(error))
    rows = [(c.name, part, f"{count:,}", "") for c in summary.components for part, count in c.parts.items()]
    rows += [(c.name, "together", f"{sum(c.parts.values()):,}", f"{c.n_bytes:,}") for c in summary.components]
    header = ("component", "part", "parameters", "bytes")
    msg.table(sorted(rows), header=header, divider=True, aligns=("l", "l", "r", "r"))
    for backbone in summary.backbones:
        facts = {
            "backbone": backbone.name,
            "revision": backbone.revision or "unknown",
            "fingerprint": backbone.fingerprint,
            "found": f"{backbone.origin}: {backbone.path}",
            "parameters": f"{backbone.n_parameters:,}, frozen",
            "package": backbone.requirement or "none",
        }
        msg.table(facts)
    msg.table({"requirements": ", ".join(summary.requirements) or "none recorded"})
