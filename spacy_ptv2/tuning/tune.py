"""Searches for better settings of a config: groups of trials, each trained in one pass over the data.

In: a config, what may vary, how many trials. Out: a folder with the best config, its pipeline, the table of all trials
and the study. What has ended there is not trained again, so an interrupted search continues.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

from spacy.training.loop import DIR_MODEL_BEST, DIR_MODEL_LAST
from thinc.api import Config

from ..errors import Errors, PTuningError, Warnings
from ..training.trials import Trial, run_trials, start_trial
from ..writing import LOCK, replacing_file, working_alone
from .record import describe, keep_to_record
from .results import TRIALS, Result, best_of, name_of, write_results
from .search import Asked, Search, check_optuna
from .space import MISSING, Space, check_space, value_in
from .table import markdown

BEST_CONFIG, TABLE = "best.cfg", "tuning.md"


@dataclass(frozen=True)
class Tuning:
    """What is searched.

    config (Config): A training config, not interpolated. space (Space): What varies.
    n_trials (int): How many trials, the shipped config included. group (int): How many train in one pass.
    seed (int): Of the search. prunes (bool): Whether trials that promise nothing end early. gpu_id (int): -1 for CPU.
    """

    config: Config
    space: Space
    n_trials: int
    group: int
    seed: int = 0
    prunes: bool = True
    gpu_id: int = -1


class Watcher(Protocol):
    """Who is told how the search goes on."""

    def on_group(self, names: Sequence[str], n_left: int, seconds_left: float | None) -> None:
        """A group begins. n_left (int), seconds_left (float | None): For it and all later trials; None if unknown."""

    def on_evaluation(self, trial: Trial, info: Mapping[str, Any], seconds_left: float | None) -> None:
        """A trial was evaluated. info: See `Report.info`. seconds_left (float | None): For its group."""

    def on_note(self, text: str) -> None:
        """Something is worth saying: a trial ended before the others, or a warning."""


def tune(tuning: Tuning, output: Path, watcher: Watcher) -> list[Result]:
    """Train the trials that have not ended yet.

    output (Path): The folder for all of it. watcher (Watcher): Is told how it goes on.
    RETURNS (list[Result]): All trials that have ended, in the order of their numbers.
    RAISES (PTuningError): P840, P842, P843 before anything starts; P779 if another process works in the folder, P845
        if it searches something else, P847 if it is damaged, P848 if it is not one of searches; P846 if no trial
        finishes.
    """
    check_optuna()
    interpolated = tuning.config.interpolate()
    check_space(tuning.space, interpolated)
    shipped = {setting: value_in(interpolated, setting) for setting in tuning.space}
    for setting, distribution in tuning.space.items():
        if distribution.known(shipped[setting]) is None:
            got = "nothing" if shipped[setting] is MISSING else json.dumps(shipped[setting])
            watcher.on_note(Warnings.PW55.format(setting=setting, got=got, expected=distribution))
    with working_alone(output):
        keep_to_record(output, describe(tuning.config, tuning.space, tuning.seed), known=[LOCK])
        search = Search(output, tuning.space, shipped, seed=tuning.seed, prunes=tuning.prunes)
        _settle(tuning, search, output)
        _run(tuning, search, output, watcher)
        results = search.results()
    if best_of(results) is None:
        failure = next((own.failure for own in reversed(results) if own.failure), "")
        raise PTuningError(Errors.P846.format(n=len(results), error=failure))
    return results


def _run(tuning: Tuning, search: Search, output: Path, watcher: Watcher) -> None:
    """Train group after group."""
    per_trial = None  # seconds
    while (n_left := tuning.n_trials - search.n_ended) > 0:
        asked = search.ask(min(tuning.group, n_left))
        if not asked:
            watcher.on_note(Warnings.PW57.format(n=search.n_ended, expected=tuning.n_trials))
            return
        begun = perf_counter()
        names = [name_of(one.number) for one in asked]
        watcher.on_group(names, n_left, None if per_trial is None else n_left * per_trial)
        _Group(tuning, search, output / TRIALS, watcher).train(asked)
        per_trial = (perf_counter() - begun) / len(asked)
        _settle(tuning, search, output)


class _Group:
    """Some trials in one pass. output (Path): For a folder per trial. The others: See `_run`."""

    def __init__(self, tuning: Tuning, search: Search, output: Path, watcher: Watcher) -> None:
        self.tuning, self.search, self.output, self.watcher = tuning, search, output, watcher
        self.asked: dict[str, Asked] = {}  # those that are in training, by name
        self.begun = 0.0

    def train(self, asked: Sequence[Asked]) -> None:
        """Train trials to their end."""
        self.asked = {name_of(one.number): one for one in asked}
        trials = [trial for one in asked if (trial := self._start(one)) is not None]
        if not trials:
            return
        self.begun = perf_counter()
        run_trials(trials, self.tuning.config, report=self._report, report_failure=self._fail)
        for one in self.asked.values():
            self.search.finish(one)

    def _start(self, one: Asked) -> Trial | None:
        """Build a trial. One that cannot be built is noted; of the shipped config, that is raised."""
        name = name_of(one.number)
        try:
            return start_trial(self.tuning.config, name, one.settings, self.output, self.tuning.gpu_id)
        except ValueError as error:
            if one.is_shipped:
                raise
            self._give_up(name, error)
            return None

    def _report(self, trial: Trial, info: Mapping[str, Any]) -> bool:
        seconds, step, max_steps = perf_counter() - self.begun, info["step"], trial.settings["max_steps"]
        left = seconds * (max_steps - step) / step if step and max_steps else None
        self.watcher.on_evaluation(trial, info, left)
        if not self.search.report(self.asked[trial.name], step, info["score"], seconds):
            return False
        self.search.prune(self.asked.pop(trial.name))
        self.watcher.on_note(f"{trial.name} ends at step {step}: its best score is below the median of finished trials")
        return True

    def _fail(self, trial: Trial, failure: PTuningError) -> None:
        self._give_up(trial.name, failure)

    def _give_up(self, name: str, error: Exception) -> None:
        one = self.asked.pop(name)
        self.search.prune(one, error)
        self.watcher.on_note(Warnings.PW56.format(name=name, settings=one.settings, error=error))


def _settle(tuning: Tuning, search: Search, output: Path) -> None:
    """Write what has ended, and remove the pipelines of all trials but the best."""
    results = search.results()
    best = best_of(results)
    if results:
        write_results(output, results)
        with replacing_file(output / TABLE) as new:
            new.write_text(markdown(results, list(tuning.space), output.resolve().name), encoding="utf8")
    if best is not None:
        changes = {} if best.is_shipped else best.settings
        with replacing_file(output / BEST_CONFIG) as new:
            written = Config().from_str(tuning.config.to_str(), interpolate=False, overrides=changes)
            written.to_disk(new, interpolate=False)
    ended = {result.name for result in results}
    for folder in (output / TRIALS).glob("*"):
        if folder.name not in ended:
            shutil.rmtree(folder)  # of a process that was killed: its settings train again under another number
        elif best is None or folder.name != best.name:
            for name in (DIR_MODEL_BEST, DIR_MODEL_LAST):
                shutil.rmtree(folder / name, ignore_errors=True)
