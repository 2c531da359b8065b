"""Reads the folder of a comparison: which runs are finished, and which of them are in its table."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from ..errors import Errors, PTuningError
from .methods import METHODS
from .outcome import JOB, OUTCOME, Job, Outcome

Run = tuple[Job, Outcome]


@dataclass(frozen=True)
class Finished:
    """The runs of a comparison.

    table (dict[str, list[Run]]): By method, in the order of the seeds, each with the learning rate that was chosen.
    others (list[Run]): Runs with other learning rates. running (list[str]): Names of runs without an outcome.
    """

    table: dict[str, list[Run]]
    others: list[Run]
    running: list[str]


def is_comparison(folder: Path) -> bool:
    """Return whether a folder has the folders of runs."""
    return any(folder.glob(f"*/{JOB}"))


def read_run(folder: Path) -> Run:
    """Read a finished run.

    RAISES (PTuningError): P782 if its files are damaged.
    """
    try:
        run = Job.from_disk(folder), Outcome.from_disk(folder)
        METHODS[run[0].method]
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise PTuningError(Errors.P782.format(path=folder, error=f"{type(error).__name__}: {error}")) from error
    return run


def read_comparison(folder: Path) -> Finished:
    """Read the finished runs of a folder.

    Of a method with several learning rates the table has the one with most seeds, of several such the best on dev: the
    first seed tries all rates, and the others take the best.
    RAISES (PTuningError): P782.
    """
    by_method: dict[str, dict[float | None, list[Run]]] = defaultdict(lambda: defaultdict(list))
    running = []
    for path in sorted(file.parent for file in folder.glob(f"*/{JOB}")):
        if not (path / OUTCOME).exists():
            running.append(path.name)
            continue
        job, outcome = read_run(path)
        by_method[job.method][job.rate].append((job, outcome))
    table, others = {}, []
    for method in METHODS:
        rates = by_method.get(method, {})
        ranked = sorted(rates.values(), key=lambda runs: (len(runs), max(o.dev for _, o in runs)), reverse=True)
        if ranked:
            table[method] = sorted(ranked[0], key=lambda run: run[0].seed)
            others += [run for runs in ranked[1:] for run in runs]
    return Finished(table, others, running)
