"""The tables of a data report, in words, for the command and for its page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from statistics import quantiles

from ..corpora.contents import ENTITIES
from ..corpora.findings import FINDINGS, Finding
from ..corpora.report import Comparison, CorpusReport, compare

LENGTHS = 5  # entities of more tokens share one row
NOTHING_FOUND = "Nothing doubtful"
NOTHING_TOLD = "The same labels, and no text in common"

Rows = dict[str, list[str]]
Told = list[tuple[str, list[Finding]]]  # what is told in words, and its places


def heading(kind: str) -> str:
    """Return what the labels of a kind are called."""
    return "Labels" if kind == ENTITIES else kind.capitalize()


def names_of_kinds(reports: Sequence[CorpusReport]) -> list[str]:
    """Return the kinds of annotations that any corpus has; see `corpora.contents`."""
    return list(dict.fromkeys(kind for report in reports for kind, labels in report.labels.items() if labels))


def count_rows(reports: Sequence[CorpusReport]) -> Rows:
    """Return what all corpora contain, a column for each."""
    kinds = names_of_kinds(reports)
    columns: list[tuple[str, Callable[[CorpusReport], str]]] = [
        ("documents", lambda report: str(report.docs)),
        *((f"with {kind}", _docs_with(kind)) for kind in kinds),
        ("sentences", lambda report: "unknown" if report.sentences is None else str(report.sentences)),
        ("tokens", lambda report: str(sum(report.lengths))),
        ("tokens in the longest", lambda report: str(max(report.lengths, default=0))),
        *((kind, _count_of(kind)) for kind in kinds),
    ]
    if any(report.tags for report in reports):
        columns.append(("tokens with a tag", lambda report: str(report.tags)))
    if any(report.heads for report in reports):
        columns.append(("tokens with a head", lambda report: str(report.heads)))
    rows = {name: [value(report) for report in reports] for name, value in columns}
    if ENTITIES in kinds:
        rows |= _entity_lengths(reports)
    return rows | _piece_rows(reports)


def _docs_with(kind: str) -> Callable[[CorpusReport], str]:
    return lambda report: str(report.annotated_docs[kind])


def _count_of(kind: str) -> Callable[[CorpusReport], str]:
    return lambda report: str(report.labels[kind].total() if kind in report.labels else 0)


def _entity_lengths(reports: Sequence[CorpusReport]) -> Rows:
    rows = {
        f"of {length} token{'s' if length > 1 else ''}": [str(report.entity_lengths[length]) for report in reports]
        for length in range(1, LENGTHS + 1)
    }
    more = [sum(n for length, n in report.entity_lengths.items() if length > LENGTHS) for report in reports]
    longest = [max(report.entity_lengths, default=0) for report in reports]
    rows["of more"] = [f"{n} (up to {most})" if n else "0" for n, most in zip(more, longest, strict=True)]
    return rows


def _piece_rows(reports: Sequence[CorpusReport]) -> Rows:
    if any(report.pieces is None for report in reports):
        return {}
    rows: Rows = {"word pieces": [], "in half of the documents, up to": [], "in 95 %, up to": [], "in the longest": []}
    for report in reports:
        pieces = sorted(report.pieces or [0])
        cuts = quantiles(pieces, n=20, method="inclusive") if len(pieces) > 1 else [pieces[0]] * 19
        for row, value in zip(rows.values(), (sum(pieces), cuts[9], cuts[18], pieces[-1]), strict=True):
            row.append(f"{value:.0f}")
    return rows


def label_rows(kind: str, reports: Sequence[CorpusReport]) -> Rows:
    """Return how often each label of a kind is in each corpus, the most frequent in the first one first."""
    counts = [report.labels.get(kind, Counter()) for report in reports]
    labels = sorted(set().union(*counts), key=lambda label: (-counts[0][label], label))
    return {label: [str(own[label]) for own in counts] for label in labels}


def found_in(report: CorpusReport) -> Iterator[tuple[str, list[Finding]]]:
    """Yield what is doubtful, in words, with its places."""
    for kind, words in FINDINGS.items():
        if found := report.findings.get(kind):
            yield f"{words}: {len(found)}", found


def rare_in(train: CorpusReport) -> Iterator[tuple[str, dict[str, int]]]:
    """Yield, for each kind that has any, the labels that are rare in training."""
    for kind in names_of_kinds([train]):
        if rare := train.rare_labels(kind):
            yield kind, rare


def is_annotated(report: CorpusReport) -> bool:
    """Return whether a corpus has annotations of any kind."""
    return bool(report.tags or report.heads or any(report.labels.values()))


def comparisons(reports: Sequence[CorpusReport]) -> Iterator[tuple[CorpusReport, CorpusReport, Told]]:
    """Yield each corpus with the training corpus, the first one, and others that share something, and what there is."""
    for one, other in combinations(reports, 2):
        found = compare(one, other)
        told = list((compared if one is reports[0] else overlap)(one, other, found))
        if told or one is reports[0]:
            yield one, other, told


def compared(one: CorpusReport, other: CorpusReport, found: Comparison) -> Iterator[tuple[str, list[Finding]]]:
    """Yield how a corpus differs from another one and what they share, in words, with the places of the latter."""
    for kind, labels in found.unseen.items():
        yield f"{heading(kind)} that {one.name} does not have: {listed(labels)}", []
    for kind, labels in found.unused.items():
        yield f"{heading(kind)} that {other.name} does not test: {listed(dict.fromkeys(labels))}", []
    yield from overlap(one, other, found)


def overlap(one: CorpusReport, other: CorpusReport, found: Comparison) -> Iterator[tuple[str, list[Finding]]]:
    """Yield what two corpora share, in words, with the places in the second one."""
    if found.shared:
        share = f"{len(found.shared)} ({100 * len(found.shared) / other.docs:.1f} %)"
        different = f", {found.n_contradictions} of them annotated differently" if found.n_contradictions else ""
        yield f"Documents that are in {one.name} too{different}: {share}", found.shared
    if found.same_text:
        yield (
            f"Documents whose text is in {one.name} too, asked something else: {len(found.same_text)}",
            found.same_text,
        )


def listed(labels: dict[str, int] | dict[str, None], most: int = 20) -> str:
    """Return labels with their counts, if these are known, in one line."""
    shown = [label if count is None else f"{label} {count}" for label, count in labels.items()]
    more = [f"and {len(shown) - most} more"] if len(shown) > most else []
    return ", ".join([*shown[:most], *more])
