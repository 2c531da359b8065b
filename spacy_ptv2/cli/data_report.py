"""``spacy ptv2 data-report``: shows what annotated corpora contain, and what looks wrong in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from wasabi import msg

from ..errors import BackboneError, PTuningError
from .convert import TASK
from .messages import fail, showing_config_errors

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

    from ..backbones.source import BackboneSource
    from ..corpora.findings import Finding
    from ..corpora.report import CorpusReport

N_EXAMPLES = 3
LONGEST_EXAMPLE = 80  # characters


def data_report_cli(
    corpora: Annotated[
        list[Path],
        typer.Argument(help="Corpora (.spacy, or what `convert` reads), the one for training first.", exists=True),
    ],
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", help="The config whose tokenizer and backbone are used.", exists=True, dir_okay=False
        ),
    ] = None,
    lang: Annotated[str | None, typer.Option("--lang", "-l", help="Or the language of the tokenizer ('en').")] = None,
    task: Annotated[str | None, typer.Option("--task", "-t", help=f"{TASK} Of files other than .spacy.")] = None,
    backbone: Annotated[
        str | None, typer.Option("--backbone", "-b", help="A hub id or folder: lengths are also in its word pieces.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Also write the report as a page.")] = None,
) -> None:
    """Count labels, and show misaligned, whitespace-edged and contradictory annotations, before you train."""
    from ..corpora.report import describe, read_docs

    nlp, source = load_tokenizer(config, lang)
    try:
        if html is not None:
            _check_html(html)
        docs = [read_docs(path, nlp, None if task == "ner" else task) for path in corpora]
        reports = [describe(name, own, nlp) for name, own in zip(_names(corpora), docs, strict=True)]
        _add_pieces(reports, docs, backbone, source)
        _print(reports)
        if html is not None:
            _write(html, reports)
    except PTuningError as error:
        fail("Cannot report on the corpora", str(error))


def load_tokenizer(config: Path | None, lang: str | None) -> tuple[Language, BackboneSource | None]:
    """Return a pipeline of nothing but the tokenizer of a config or of a language, and the config's backbone."""
    import spacy
    from spacy.util import load_config, load_model_from_config

    if config is None:
        try:
            return spacy.blank(lang or "en"), None
        except ImportError as error:
            raise typer.BadParameter(str(error), param_hint="--lang") from error
    if lang is not None:
        raise typer.BadParameter("the config already names a language", param_hint="--lang")
    with showing_config_errors(config):
        settings = load_config(config)
        source = _backbone_of(settings)
        settings["nlp"]["pipeline"] = []
        settings["components"] = {}
        return load_model_from_config(settings, auto_fill=True), source


def _backbone_of(config: Any) -> BackboneSource | None:
    """Return the first backbone that a config names."""
    from spacy.util import registry

    from ..migration.blocks import walk

    for _, block in walk(config.interpolate().get("components", {})):
        if block.get("@misc") == "spacy_ptv2.Backbone.v1":
            source: BackboneSource = registry.resolve({"backbone": block})["backbone"]
            return source
    return None


def _check_html(path: Path) -> None:
    from ..reports.charts import check_matplotlib
    from ..reports.page import check_output

    check_output(path)
    check_matplotlib()


def _names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each corpus: the name of its file, or its path if two names are equal."""
    names = [path.stem for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _add_pieces(
    reports: Sequence[CorpusReport], docs: Sequence[list[Doc]], backbone: str | None, source: BackboneSource | None
) -> None:
    """Count word pieces, if a backbone is named. That of a config may be missing here."""
    from ..backbones.source import BackboneSource
    from ..reports.pieces import count_pieces

    if backbone is not None:
        source = BackboneSource(backbone)
    if source is None:
        return
    try:
        for report, own in zip(reports, docs, strict=True):
            report.pieces = count_pieces(own, source)
    except BackboneError as error:
        if backbone is not None:
            raise
        msg.warn("Lengths are not in word pieces: the config's backbone cannot be read here", str(error))


def _print(reports: Sequence[CorpusReport]) -> None:
    from ..reports import data_rows

    train = reports[0]
    msg.divider("Corpora")
    _print_table("", data_rows.count_rows(reports), reports)
    for kind in data_rows.names_of_kinds(reports):
        msg.divider(data_rows.heading(kind))
        _print_table("label", data_rows.label_rows(kind, reports), reports)
    for kind, rare in data_rows.rare_in(train):
        msg.warn(f"{train.name}: few {kind} to learn from: {data_rows.listed(rare)}")
    if not data_rows.is_annotated(train):
        msg.warn(f"{train.name}: no annotations")
    for report in reports:
        msg.divider(f"Findings in {report.name}")
        _print_findings(list(data_rows.found_in(report)), data_rows.NOTHING_FOUND)
    for one, other, told in data_rows.comparisons(reports):
        msg.divider(f"{other.name} compared with {one.name}")
        _print_findings(told, data_rows.NOTHING_TOLD)


def _print_table(title: str, rows: dict[str, list[str]], reports: Sequence[CorpusReport]) -> None:
    header = (title, *(report.name for report in reports))
    msg.table([(name, *values) for name, values in rows.items()], header=header, aligns=["l", *"r" * len(reports)])


def _print_findings(found: Sequence[tuple[str, list[Finding]]], if_none: str) -> None:
    if not found:
        msg.good(if_none)
    for words, places in found:
        msg.warn(words)
        for doc, text in places[:N_EXAMPLES]:
            print(f"  document {doc}: {_shortened(text)}")
        if len(places) > N_EXAMPLES:
            print(f"  and {len(places) - N_EXAMPLES} more")


def _shortened(text: str) -> str:
    """Return a text on one line, with its white space escaped, truncated if it is long."""
    return repr(text if len(text) <= LONGEST_EXAMPLE else text[:LONGEST_EXAMPLE] + "…")


def _write(path: Path, reports: Sequence[CorpusReport]) -> None:
    from ..reports.data_page import write_data_page

    write_data_page(path, reports)
    msg.good(f"Saved the report to {path}")
