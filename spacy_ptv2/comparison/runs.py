"""The runs of a comparison: every method and seed, each in a process and a folder of its own.

In: a config, methods, seeds, learning rates of full fine-tuning. Out: outcomes by method. Runs that are finished in the
folder are not repeated, so an interrupted comparison continues where it was.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from thinc.api import Config

from ..errors import Errors, PTuningError
from ..writing import working_alone
from . import worker
from .methods import METHODS, apply
from .outcome import CONFIG, LOG, OUTCOME, Job, Outcome

TAIL = 1500  # characters of a failed run's output that are shown
ReportRun = Callable[[Job, Outcome, bool], None]  # whether it was finished before


@dataclass(frozen=True)
class Comparison:
    """What is compared.

    config (Config): A training config, not interpolated. methods (Sequence[str]): See `methods.METHODS`.
    seeds (Sequence[int]): The first one chooses the learning rate.
    rates (Sequence[float]): Learning rates of full fine-tuning, of which the best on dev is taken.
    tests (tuple[str, ...]), gpu_id (int), code (str | None): See `Job`.
    """

    config: Config
    methods: Sequence[str]
    seeds: Sequence[int]
    rates: Sequence[float]
    tests: tuple[str, ...] = ()
    gpu_id: int = -1
    code: str | None = None

    @cached_property
    def configs(self) -> dict[str, Config]:
        """The config of each method.

        RAISES (PTuningError): P770, P771.
        """
        interpolated = self.config.interpolate()
        return {method: apply(method, interpolated) for method in self.methods}

    def job(self, method: str, seed: int, rate: float | None) -> Job:
        """Return one run."""
        return Job(method, seed, rate, self.tests, self.gpu_id, self.code)


def compare(comparison: Comparison, output: Path, *, jobs: int, report: ReportRun) -> dict[str, list[Job]]:
    """Train what is not finished yet.

    output (Path): For a folder per run. jobs (int): How many runs at a time.
    report (Callable): Called with each run that is finished.
    RETURNS (dict[str, list[Job]]): The runs of each method, in the order of the seeds, each finished.
    RAISES (PTuningError): P772 if a run fails; P779 if another process works in the folder.
    """
    with working_alone(output):
        return _compare(comparison, output, jobs, report)


def _compare(comparison: Comparison, output: Path, jobs: int, report: ReportRun) -> dict[str, list[Job]]:
    first, *others = comparison.seeds
    tried = {}
    for method in comparison.configs:
        rates = comparison.rates if METHODS[method].is_full else [None]
        tried[method] = [comparison.job(method, first, rate) for rate in rates]
    outcomes = _run_all(comparison, [job for own in tried.values() for job in own], output, jobs, report)
    best = {method: max(own, key=lambda job: outcomes[job].dev) for method, own in tried.items()}
    rest = {
        method: [comparison.job(method, seed, best[method].rate) for seed in others] for method in comparison.methods
    }
    _run_all(comparison, [job for own in rest.values() for job in own], output, jobs, report)
    return {method: [best[method], *rest[method]] for method in comparison.methods}


def _run_all(
    comparison: Comparison, runs: Sequence[Job], output: Path, jobs: int, report: ReportRun
) -> dict[Job, Outcome]:
    def finish(job: Job) -> Outcome:
        folder = output / job.name
        was_there = is_finished(comparison, job, folder)
        if not was_there:
            start(comparison, job, folder)
        outcome = Outcome.from_disk(folder)
        report(job, outcome, was_there)
        return outcome

    with ThreadPoolExecutor(jobs) as pool:
        return dict(zip(runs, pool.map(finish, runs), strict=True))


def config_of(comparison: Comparison, job: Job) -> Config:
    """Return the config of a run."""
    config = comparison.configs[job.method].copy()
    config["training"]["seed"] = job.seed
    if "seed" in config.get("system", {}):
        config["system"]["seed"] = job.seed
    return config


def is_finished(comparison: Comparison, job: Job, folder: Path) -> bool:
    """Return whether the folder has the outcome of this very run."""
    if not (folder / OUTCOME).exists():
        return False
    same_config = (folder / CONFIG).read_text(encoding="utf8") == config_of(comparison, job).to_str()
    return same_config and Job.from_disk(folder) == job


def start(comparison: Comparison, job: Job, folder: Path) -> None:
    """Train and score a run in a process of its own.

    RAISES (PTuningError): P772 with the end of its output if it fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / OUTCOME).unlink(missing_ok=True)
    job.to_disk(folder)
    (folder / CONFIG).write_text(config_of(comparison, job).to_str(), encoding="utf8")
    with (folder / LOG).open("w", encoding="utf8") as log:
        command = [sys.executable, "-m", worker.__name__, str(folder)]
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT)
    if done.returncode:
        text = (folder / LOG).read_text(encoding="utf8", errors="replace")
        raise PTuningError(Errors.P772.format(name=job.name, path=folder / LOG, output=text[-TAIL:]))
