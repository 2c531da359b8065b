"""The study that chooses which trials are trained: Optuna's, in a file that outlives the process.

In: a space, and what trials reached. Out: the settings of the next trials, and which trials are not worth going on.
Sources: Bergstra et al. 2011 (TPE), https://proceedings.neurips.cc/paper/4443; Golovin et al. 2017, section 3.2 (the
median rule), https://doi.org/10.1145/3097983.3098043.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Errors, PTuningError
from .results import FAILED, FINISHED, PRUNED, Result
from .space import MISSING, Space

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

JOURNAL, LOCK_OF_JOURNAL = "study.jsonl", "study.jsonl.lock"
STUDY = "spacy_ptv2"
N_RANDOM = 4  # trials before TPE chooses, and finished ones before any is pruned
WARMUP = 3  # a trial is pruned after this part of the steps at the earliest
MOST_TRIES = 50  # for settings that no trial has had
SHIPPED, RETRY_OF, FAILURE, SECONDS = "shipped", "retry_of", "failure", "seconds"  # what is noted of trials


def check_optuna() -> None:
    """RAISES (PTuningError): P840 if Optuna is missing."""
    if find_spec("optuna") is None:
        raise PTuningError(Errors.P840)


@dataclass(frozen=True)
class Asked:
    """A trial to be trained. settings (dict[str, Any]): What it changes; nothing if it is the shipped config."""

    number: int
    settings: dict[str, Any]
    is_shipped: bool
    trial: Trial


class Search:
    """A study in a folder. No other process may work there.

    space (Space): What varies. shipped (Mapping[str, Any]): The config's own value of each setting, or `MISSING`.
    seed (int): Of the sampler. prunes (bool): Whether trials may end early.
    """

    def __init__(self, folder: Path, space: Space, shipped: Mapping[str, Any], *, seed: int, prunes: bool) -> None:
        self.space = space
        self.shipped = {setting: value for setting, value in shipped.items() if value is not MISSING}
        self.seed = seed
        self.prunes = prunes
        self.study = _open(folder)
        self._resume()

    @property
    def n_ended(self) -> int:
        """How many trials have finished, were pruned or failed."""
        return len(self.results())

    def results(self) -> list[Result]:
        """Return what has ended, in the order of the numbers."""
        from optuna.trial import TrialState

        ended = (TrialState.COMPLETE, TrialState.PRUNED)
        return [self._result(trial) for trial in self.study.get_trials(deepcopy=False, states=ended)]

    def ask(self, n: int) -> list[Asked]:
        """Return the next trials, all different; fewer if no more combinations of settings are found.

        What is asked follows from the seed and the trials that have ended, so an interrupted search goes on as it
        would have without the interruption.
        """
        from optuna.samplers import TPESampler

        seeds = np.random.SeedSequence([self.seed, self.n_ended]).generate_state(1)
        asked: list[Asked] = []
        with _quiet():
            self.study.sampler = TPESampler(
                seed=int(seeds[0]), n_startup_trials=N_RANDOM, multivariate=True, constant_liar=True
            )
            self.study.pruner = self._pruner()
            while len(asked) < n and (one := self._ask()) is not None:
                asked.append(one)
        return asked

    def report(self, asked: Asked, step: int, score: float, seconds: float) -> bool:
        """Note an evaluation. RETURNS (bool): Whether the trial is to end here; the shipped config never is."""
        asked.trial.report(score, step)
        asked.trial.set_user_attr(SECONDS, seconds)
        return not asked.is_shipped and asked.trial.should_prune()

    def finish(self, asked: Asked) -> None:
        """Note that a trial has finished."""
        (known,) = (trial for trial in self.study.get_trials(deepcopy=False) if trial.number == asked.number)
        self.study.tell(asked.trial, max(known.intermediate_values.values()))

    def prune(self, asked: Asked, failure: Exception | None = None) -> None:
        """Note that a trial ended early. failure (Exception | None): Why it could not go on."""
        from optuna.trial import TrialState

        if failure is not None:
            asked.trial.set_user_attr(FAILURE, str(failure))
        self.study.tell(asked.trial, state=TrialState.PRUNED)

    def _ask(self) -> Asked | None:
        from optuna.trial import TrialState

        for _ in range(MOST_TRIES):
            trial = self.study.ask()
            is_shipped = SHIPPED in trial.user_attrs
            names = self._shipped_params() if is_shipped else self.space
            settings = {setting: self.space[setting].suggest(trial, setting) for setting in names}
            if is_shipped:
                return Asked(trial.number, {}, True, trial)
            if RETRY_OF in trial.user_attrs or self._is_new(trial):
                return Asked(trial.number, settings, False, trial)
            self.study.tell(trial, state=TrialState.FAIL)
        return None

    def _is_new(self, trial: Trial) -> bool:
        others = (other for other in self.study.get_trials(deepcopy=False) if other.number != trial.number)
        return all(other.params != trial.params for other in others)

    def _shipped_params(self) -> dict[str, Any]:
        """Return the config's own values as Optuna knows them, without those outside of the space."""
        params = {setting: self.space[setting].known(value) for setting, value in self.shipped.items()}
        return {setting: known for setting, known in params.items() if known is not None}

    def _resume(self) -> None:
        """Ask again for what was in training when the process ended; in a new study, for the shipped config first."""
        from optuna.trial import TrialState

        trials = self.study.get_trials(deepcopy=False)
        if not trials:
            self.study.enqueue_trial(self._shipped_params(), user_attrs={SHIPPED: True})
        retried = {trial.user_attrs.get(RETRY_OF) for trial in trials}
        for trial in trials:
            if trial.state != TrialState.RUNNING:
                continue
            if trial.number not in retried:  # else it was killed here, too
                self.study.enqueue_trial(trial.params, user_attrs={**_marks(trial), RETRY_OF: trial.number})
            self.study.tell(trial.number, state=TrialState.FAIL)

    def _pruner(self) -> Any:
        from optuna.pruners import MedianPruner, NopPruner

        lengths = [own.curve[-1][0] for own in self.results() if own.state == FINISHED]
        if not (self.prunes and lengths):
            return NopPruner()
        return MedianPruner(n_startup_trials=N_RANDOM, n_warmup_steps=max(lengths) // WARMUP)

    def _result(self, trial: FrozenTrial) -> Result:
        from optuna.trial import TrialState

        attributes, is_shipped = trial.user_attrs, SHIPPED in trial.user_attrs
        failure = attributes.get(FAILURE)
        state = FINISHED if trial.state == TrialState.COMPLETE else FAILED if failure else PRUNED
        settings = {setting: self.space[setting].value_of(known) for setting, known in trial.params.items()}
        curve = sorted(trial.intermediate_values.items())
        seconds = attributes.get(SECONDS, 0.0)
        return Result(
            trial.number, state, self.shipped if is_shipped else settings, is_shipped, curve, seconds, failure
        )


def _marks(trial: FrozenTrial) -> dict[str, Any]:
    return {SHIPPED: True} if SHIPPED in trial.user_attrs else {}


def _open(folder: Path) -> Study:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    path = folder / JOURNAL
    (folder / LOCK_OF_JOURNAL).unlink(missing_ok=True)  # of a process that was killed while it wrote
    _cut_last_line(path)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        storage = JournalStorage(JournalFileBackend(str(path), JournalFileOpenLock(str(path))))
        return optuna.create_study(storage=storage, study_name=STUDY, direction="maximize", load_if_exists=True)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise PTuningError(Errors.P847.format(path=path, error=f"{type(error).__name__}: {error}")) from error


def _cut_last_line(path: Path) -> None:
    """Remove what a process wrote of a line while it was killed: Optuna would write the next line to its end."""
    if not path.exists():
        return
    with path.open("r+b") as stream:
        content = stream.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            stream.truncate(whole)
            os.fsync(stream.fileno())


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what Optuna says of its newer options, and of ranges whose upper bound no step reaches."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
