"""Reads the folder of a training: its pipeline, its learning curve, what it cost.

In: a folder that `spacy train` or a run of `spacy ptv2 compare` wrote. Out: a `Training`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spacy.training.loop import DIR_MODEL_BEST

from ..comparison.finished import read_run
from ..comparison.methods import METHODS
from ..comparison.outcome import OUTCOME
from ..errors import Errors, PTuningError
from ..reading import read_object
from ..training.loggers import CURVE

META = "meta.json"
PEAKS = ("peak_memory", "peak_gpu_memory")  # as the curve calls them


@dataclass(frozen=True)
class Point:
    """An evaluation.

    losses (dict[str, float]): By component, since the evaluation before; empty if not recorded.
    memory (dict[str, int]): The bytes of each of `PEAKS` that was recorded: the most that the process had used by then.
    """

    step: int
    seconds: float
    score: float
    losses: dict[str, float] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Training:
    """A training.

    name (str): Of its folder. pipeline (Path | None): Its best pipeline; None if it is not kept.
    method (str | None): What trained, of a run of a comparison. meta (dict[str, Any]): Of the pipeline.
    curve (list[Point]): Empty if none was recorded. n_bytes (int): Of the saved pipeline.
    """

    name: str
    pipeline: Path | None
    method: str | None
    meta: dict[str, Any]
    curve: list[Point]
    n_bytes: int

    @property
    def best(self) -> Point | None:
        """The evaluation with the best score; of equal ones the latest, whose pipeline is kept."""
        return max(reversed(self.curve), key=lambda point: point.score, default=None)

    def peak(self, name: str) -> int | None:
        """Return the largest of a peak of memory; None if it was not recorded. A resumed training has several."""
        return max((point.memory[name] for point in self.curve if name in point.memory), default=None)

    @property
    def performance(self) -> dict[str, float]:
        """The scores and losses that the meta has of the pipeline's evaluation on dev."""
        known = self.meta.get("performance")
        return {name: v for name, v in known.items() if isinstance(v, int | float)} if isinstance(known, dict) else {}


def read_training(folder: Path) -> Training:
    """Read a folder with `model-best`, or the folder of a pipeline itself.

    RAISES (PTuningError): P781 if it is neither, P782 if a file in it is damaged.
    """
    pipeline = folder if (folder / META).is_file() else folder / DIR_MODEL_BEST
    if not has_pipeline(folder):
        raise PTuningError(Errors.P781.format(path=folder))
    meta = _read_meta(pipeline / META)
    method, curve, kept = None, _read_curve(folder), True
    if (folder / OUTCOME).is_file():
        job, outcome = read_run(folder)
        method, kept = METHODS[job.method].label, not METHODS[job.method].is_full
        curve = curve or [Point(int(step), seconds, score) for step, seconds, score in outcome.curve]
    n_bytes = sum(file.stat().st_size for file in pipeline.rglob("*") if file.is_file())
    return Training(folder.resolve().name, pipeline if kept else None, method, meta, curve, n_bytes)


def has_pipeline(folder: Path) -> bool:
    """Return whether a folder is that of a pipeline or of a training with one."""
    return any((path / META).is_file() for path in (folder, folder / DIR_MODEL_BEST))


def _read_curve(folder: Path) -> list[Point]:
    """Read what `spacy_ptv2.curve_logger.v1` wrote, if it wrote into this folder."""
    path = folder / CURVE
    if not path.is_file():
        return []
    return [_point(path, line) for line in path.read_bytes().splitlines() if line.strip()]


def _read_meta(path: Path) -> dict[str, Any]:
    try:
        return read_object(path)
    except (OSError, ValueError) as error:
        raise PTuningError(Errors.P782.format(path=path, error=error)) from error


def _point(path: Path, line: bytes) -> Point:
    """Read one line. Python's own parser takes the NaN of a training that diverged, which `reading` refuses."""
    try:
        info = json.loads(line)
        losses = {str(name): float(loss) for name, loss in info.get("losses", {}).items()}
        memory = {name: int(info[name]) for name in PEAKS if info.get(name) is not None}
        return Point(int(info["step"]), float(info["seconds"]), float(info["score"]), losses, memory)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise PTuningError(Errors.P782.format(path=path, error=f"{type(error).__name__}: {error}")) from error


def losses_of(curve: Sequence[Point]) -> Iterator[tuple[str, list[Point]]]:
    """Yield each component that ever had a loss, with the points that have a finite one of it."""
    for name in dict.fromkeys(name for point in curve for name in point.losses):
        points = [point for point in curve if math.isfinite(point.losses.get(name, math.nan))]
        if any(point.losses[name] for point in points):
            yield name, points
