"""The table of a comparison: what trained, how many parameters, bytes and seconds, and the scores of all seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import mean, stdev

from ..markdown import table
from ..parameter_groups import PARTS
from .methods import FULL, METHODS
from .outcome import Job, Outcome

HEADER = ("what trains", "adapter", "% of backbone", "heads", "MB saved", "seconds", "dev", "test", "test - full")
ALIGNS = ("l", *"rrrrrrrr")
HEAD = PARTS[-1]
BETWEEN = " / "  # the scores of two test corpora


def rows_of(runs: Mapping[str, Sequence[tuple[Job, Outcome]]]) -> list[tuple[str, ...]]:
    """Return a row per method, under `HEADER`. runs: The runs of each method."""
    full = {job.seed: outcome for job, outcome in runs.get(FULL, ())}
    return [_row(method, own, full) for method, own in runs.items()]


def _row(method: str, runs: Sequence[tuple[Job, Outcome]], full: Mapping[int, Outcome]) -> tuple[str, ...]:
    outcomes, rate = [outcome for _, outcome in runs], runs[0][0].rate
    pairs = [(outcome, full[job.seed]) for job, outcome in runs if job.seed in full]
    first = outcomes[0]
    inside = sum(count for part, count in first.parameters.items() if part != HEAD)
    return (
        METHODS[method].label + ("" if rate is None else f", rate {rate:g}"),
        f"{inside:,}",
        f"{100 * inside / first.of_backbone:.2f}",
        f"{first.parameters.get(HEAD, 0):,}",
        f"{first.n_bytes / 1e6:.1f}",
        f"{mean(outcome.seconds for outcome in outcomes):.0f}",
        _scores([outcome.dev for outcome in outcomes]),
        BETWEEN.join(_scores(scores) for scores in zip(*(outcome.tests for outcome in outcomes), strict=False)),
        "" if method == FULL else difference(pairs),
    )


def difference(pairs: Sequence[tuple[Outcome, Outcome]]) -> str:
    """Return the mean of the differences, such as to full fine-tuning with the same seed, and its standard error.

    RETURNS (str): Of each test corpus, empty without one.
    """
    return BETWEEN.join(map(mean_and_error, differences(pairs)))


def differences(pairs: Sequence[tuple[Outcome, Outcome]]) -> list[tuple[float, ...]]:
    """Return the differences of all pairs in points, for each test corpus."""
    by_pair = [[100 * (x - y) for x, y in zip(a.tests, b.tests, strict=False)] for a, b in pairs]
    return list(zip(*by_pair, strict=False))


def mean_and_error(values: Sequence[float]) -> str:
    """Return the mean, signed, and its standard error if there are several values."""
    error = f" ± {stdev(values) / sqrt(len(values)):.1f}" if len(values) > 1 else ""
    return f"{mean(values):+.1f}{error}"


def _scores(scores: Sequence[float]) -> str:
    """Return the mean, and each score, in percent."""
    each = " ".join(f"{100 * score:.1f}" for score in scores)
    return each if len(scores) == 1 else f"{100 * mean(scores):.1f} ({each})"


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return the table in Markdown."""
    return table(HEADER, rows, ALIGNS) + "\n"
