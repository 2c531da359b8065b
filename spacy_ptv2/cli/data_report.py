"""``spacy ptv2 data-report``: shows what annotated corpora contain, and what looks wrong in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from wasabi import msg

from ..errors import CorpusError
from .messages import fail, showing_config_errors

if TYPE_CHECKING:
    from spacy.language import Language

    from ..corpora.report import Comparison, CorpusReport, Kind

N_EXAMPLES = 3
LONGEST_EXAMPLE = 80  # characters
LENGTHS = 5  # entities of more tokens share one row

FINDINGS: dict[Kind, str] = {
    "empty": "Documents without text",
    "unannotated": "Documents that say for no token whether it is in an entity; training skips them",
    "partly_annotated": "Documents that do not say it for some tokens; training skips these tokens",
    "misaligned": "Entities that start or end inside a token of this tokenizer; training skips the token",
    "whitespace_edge": "Entities that start or end with white space, as no prediction does",
    "whitespace_inside": "Entities with line breaks, tabs or several spaces inside",
    "across_sentences": "Entities that go on in the next sentence",
    "duplicate": "Documents that were there before, annotated alike",
    "contradiction": "Documents that were there before, annotated differently",
}


def data_report_cli(
    corpora: Annotated[
        list[Path],
        typer.Argument(
            help="Corpora with entities (.spacy, or what `convert` reads), the one for training first.", exists=True
        ),
    ],
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="The config whose tokenizer is used.", exists=True, dir_okay=False),
    ] = None,
    lang: Annotated[str | None, typer.Option("--lang", "-l", help="Or the language of the tokenizer ('en').")] = None,
) -> None:
    """Count labels, and show misaligned, whitespace-edged and contradictory annotations, before you train."""
    from ..corpora.report import compare, describe, read_docs

    nlp = load_tokenizer(config, lang)
    try:
        docs = [read_docs(path, nlp) for path in corpora]
    except CorpusError as error:
        fail("Cannot read the corpus", str(error))
    reports = [describe(name, own, nlp) for name, own in zip(_names(corpora), docs, strict=True)]
    _print_counts(reports)
    _print_labels(reports)
    for report in reports:
        _print_findings(report)
    for report in reports[1:]:
        _print_comparison(reports[0], report, compare(reports[0], report))


def load_tokenizer(config: Path | None, lang: str | None) -> Language:
    """Return a pipeline without components, with the tokenizer of a config or of a language."""
    import spacy
    from spacy.util import load_config, load_model_from_config

    if config is None:
        try:
            return spacy.blank(lang or "en")
        except ImportError as error:
            raise typer.BadParameter(str(error), param_hint="--lang") from error
    if lang is not None:
        raise typer.BadParameter("the config already names a language", param_hint="--lang")
    with showing_config_errors(config):
        settings = load_config(config)
        settings["nlp"]["pipeline"] = []
        settings["components"] = {}
        return load_model_from_config(settings, auto_fill=True)


def _names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each corpus: the name of its file, or its path if two names are equal."""
    names = [path.stem for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _print_counts(reports: Sequence[CorpusReport]) -> None:
    msg.divider("Corpora")
    counts = {
        "documents": [str(report.docs) for report in reports],
        "with entities": [str(report.docs_with_entities) for report in reports],
        "sentences": ["unknown" if report.sentences is None else str(report.sentences) for report in reports],
        "tokens": [str(report.tokens) for report in reports],
        "tokens in the longest": [str(report.longest_doc) for report in reports],
        "entities": [str(report.entities) for report in reports],
    }
    for length in range(1, LENGTHS + 1):
        counts[f"of {length} token{'s' if length > 1 else ''}"] = [str(report.lengths[length]) for report in reports]
    more = [sum(n for length, n in report.lengths.items() if length > LENGTHS) for report in reports]
    counts["of more"] = [f"{n} (up to {max(r.lengths)})" if n else "0" for n, r in zip(more, reports, strict=True)]
    _print_table("", counts, reports)


def _print_labels(reports: Sequence[CorpusReport]) -> None:
    msg.divider("Labels")
    labels = sorted(
        {label for report in reports for label in report.labels}, key=lambda label: -reports[0].labels[label]
    )
    _print_table("label", {label: [str(report.labels[label]) for report in reports] for label in labels}, reports)
    train = reports[0]
    if rare := train.rare_labels():
        listed = ", ".join(f"{label} {count}" for label, count in rare.items())
        msg.warn(f"{train.name}: few entities to learn from: {listed}")
    if not train.labels:
        msg.warn(f"{train.name}: no entities")


def _print_table(title: str, rows: dict[str, list[str]], reports: Sequence[CorpusReport]) -> None:
    header = (title, *(report.name for report in reports))
    msg.table([(name, *values) for name, values in rows.items()], header=header, aligns=["l", *"r" * len(reports)])


def _print_findings(report: CorpusReport) -> None:
    msg.divider(f"Findings in {report.name}")
    found = {kind: report.findings[kind] for kind in FINDINGS if report.findings.get(kind)}
    if not found:
        msg.good("Nothing doubtful")
    for kind, findings in found.items():
        msg.warn(f"{FINDINGS[kind]}: {len(findings)}")
        _print_examples([f"document {doc}: {_shortened(text)}" for doc, text in findings])


def _print_comparison(train: CorpusReport, other: CorpusReport, comparison: Comparison) -> None:
    msg.divider(f"{other.name} compared with {train.name}")
    if comparison.unseen_labels:
        listed = ", ".join(f"{label} {count}" for label, count in sorted(comparison.unseen_labels.items()))
        msg.warn(f"Labels that {train.name} does not have: {listed}")
    if comparison.unused_labels:
        msg.warn(f"Labels that {other.name} does not test: {', '.join(comparison.unused_labels)}")
    if shared := comparison.shared_texts:
        msg.warn(f"Texts that are in {train.name} too: {len(shared)}")
        _print_examples([_shortened(text) for text in shared])
    if not (comparison.unseen_labels or comparison.unused_labels or shared):
        msg.good("The same labels, and no text in common")


def _print_examples(places: Sequence[str]) -> None:
    print(*(f"  {place}" for place in places[:N_EXAMPLES]), sep="\n")
    if len(places) > N_EXAMPLES:
        print(f"  and {len(places) - N_EXAMPLES} more")


def _shortened(text: str) -> str:
    """Return a text on one line, with its white space escaped, truncated if it is long."""
    return repr(text if len(text) <= LONGEST_EXAMPLE else text[:LONGEST_EXAMPLE] + "…")
