"""The page of `spacy ptv2 data-report`: what is in some corpora, what is doubtful in them, and what they share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..corpora.report import CorpusReport
from . import charts, data_rows
from .charts import Chart
from .page import write_page

MOST_LABELS = 200  # rows of one table
MOST_PLACES = 20  # of one finding
LONGEST_PLACE = 300  # characters
MOST_COLOURS = len(charts.COLOURS)


def write_data_page(path: Path, reports: Sequence[CorpusReport]) -> None:
    """Write the page. reports (Sequence[CorpusReport]): That of the training corpus first.

    RAISES (CorpusError): P024 if it cannot be written.
    """
    kinds = data_rows.names_of_kinds(reports)
    labels = [(kind.capitalize(), list(data_rows.label_rows(kind, reports).items())) for kind in kinds]
    write_page(
        path,
        "data.html",
        title=", ".join(report.name for report in reports),
        reports=reports,
        counts=data_rows.count_rows(reports),
        lengths=_lengths(reports),
        labels=[(name, rows, _shares(name, rows, reports)) for name, rows in labels],
        rare=[(kind, data_rows.listed(rare)) for kind, rare in data_rows.rare_in(reports[0])],
        findings=[(report, list(data_rows.found_in(report))) for report in reports],
        comparisons=list(data_rows.comparisons(reports)),
        nothing={"found": data_rows.NOTHING_FOUND, "told": data_rows.NOTHING_TOLD},
        limits={"labels": MOST_LABELS, "places": MOST_PLACES, "characters": LONGEST_PLACE},
    )


def _lengths(reports: Sequence[CorpusReport]) -> list[Chart]:
    found = {"tokens": {report.name: report.lengths for report in reports if report.docs}}
    if all(report.pieces is not None for report in reports):
        found["word pieces"] = {report.name: report.pieces or [] for report in reports if report.pieces}
    drawn = []
    for unit, by_corpus in found.items():
        if by_corpus:
            text = "; ".join(f"{name}: half up to {sorted(own)[len(own) // 2]}" for name, own in by_corpus.items())
            alt = f"Share of documents that have at most so many {unit}. {text}."
            drawn.append(charts.shares(f"Length in {unit}", alt, by_corpus, f"at most so many {unit}"))
    return drawn


def _shares(name: str, rows: Sequence[tuple[str, list[str]]], reports: Sequence[CorpusReport]) -> list[Chart]:
    """Return a chart of the share that each label has in each corpus; a single label needs none."""
    if len(rows) < 2:
        return []
    counts = [[int(values[column]) for _, values in rows] for column in range(len(reports))]
    series = {
        report.name: [100 * n / max(1, sum(own)) for n in own]
        for report, own in zip(reports[:MOST_COLOURS], counts, strict=False)
    }
    shown = f"the first {charts.MOST_BARS} of {len(rows)} labels" if len(rows) > charts.MOST_BARS else "all labels"
    alt = f"The share of each label in each corpus, {shown}; the table has the counts."
    return [charts.bars(f"{name}: shares", alt, [label for label, _ in rows], series, "% of the corpus")]
