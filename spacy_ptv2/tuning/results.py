"""What the trials of a search reached, as `trials.json`, which is read without Optuna."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import Errors, PTuningError
from ..reading import read_object
from ..writing import replacing_file

RESULTS = "trials.json"
TRIALS = "trials"  # the folder for a folder per trial
FINISHED, PRUNED, FAILED = "finished", "pruned", "failed"


@dataclass(frozen=True)
class Result:
    """A trial that has ended.

    number (int): From 0; gaps are trials that did not end. state (str): "finished", "pruned" or "failed".
    settings (dict[str, Any]): The values of the settings that vary; of the shipped config's trial, its own.
    is_shipped (bool): Whether this is the config as it was given.
    curve (list[tuple[int, float]]): Step and score of each evaluation. seconds (float): Of training, with evaluations.
    failure (str | None): Why it failed.
    """

    number: int
    state: str
    settings: dict[str, Any]
    is_shipped: bool
    curve: list[tuple[int, float]]
    seconds: float
    failure: str | None = None

    @property
    def name(self) -> str:
        """The name of its folder."""
        return name_of(self.number)

    @property
    def best(self) -> tuple[int, float] | None:
        """The first step that had the best score, and that score; None if there was no evaluation."""
        return max(self.curve, key=lambda point: point[1], default=None)

    @property
    def score(self) -> float:
        """The best score, 0 if there was none."""
        return self.best[1] if self.best else 0.0


def name_of(number: int) -> str:
    """Return the name of a trial's folder."""
    return f"trial_{number:03}"


def best_of(results: Sequence[Result]) -> Result | None:
    """Return the finished trial with the best score, of equal ones the first; None if none has finished."""
    return max((result for result in results if result.state == FINISHED), key=lambda own: own.score, default=None)


def ranked(results: Sequence[Result]) -> list[Result]:
    """Return results, the best first, those that finished before those that did not."""
    return sorted(results, key=lambda own: (own.state != FINISHED, -own.score, own.number))


def write_results(folder: Path, results: Sequence[Result]) -> None:
    """Write results, in the order of their numbers."""
    with replacing_file(folder / RESULTS) as new:
        new.write_text(json.dumps({"trials": [asdict(result) for result in results]}, indent=2), encoding="utf8")


def read_results(folder: Path) -> list[Result]:
    """Read what `write_results` wrote; nothing if the first trials have not ended.

    RAISES (PTuningError): P782 if the file is damaged.
    """
    path = folder / RESULTS
    if not path.is_file():
        return []
    try:
        return [_result(**given) for given in read_object(path)["trials"]]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise PTuningError(Errors.P782.format(path=path, error=f"{type(error).__name__}: {error}")) from error


def _result(*, curve: list[list[float]], settings: dict[str, Any], **others: Any) -> Result:
    return Result(curve=[(int(step), float(score)) for step, score in curve], settings=dict(settings), **others)
