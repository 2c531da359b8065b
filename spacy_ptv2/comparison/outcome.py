"""One run of a comparison: what it is to train, and what came out, as JSON files in the folder of the run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import srsly

CONFIG, JOB, OUTCOME, LOG = "config.cfg", "job.json", "outcome.json", "log.txt"


@dataclass(frozen=True)
class Job:
    """A run that is to be trained.

    method (str): A name in `methods.METHODS`. seed (int): Of everything random.
    rate (float | None): The backbone's learning rate, of full fine-tuning.
    tests (tuple[str, ...]): Corpora to score the best pipeline on, read as the dev corpus is.
    gpu_id (int): -1 for the CPU. code (str | None): A Python file with registered functions.
    """

    method: str
    seed: int
    rate: float | None = None
    tests: tuple[str, ...] = ()
    gpu_id: int = -1
    code: str | None = None

    @property
    def name(self) -> str:
        """The name of its folder."""
        rate = [] if self.rate is None else [f"{self.rate:g}"]
        return "_".join([self.method, *rate, f"seed{self.seed}"])

    def to_disk(self, folder: Path) -> None:
        """Write it into the folder of the run."""
        srsly.write_json(folder / JOB, asdict(self))

    @classmethod
    def from_disk(cls, folder: Path) -> Job:
        """Read what `to_disk` wrote."""
        saved = srsly.read_json(folder / JOB)
        return cls(**{**saved, "tests": tuple(saved["tests"])})


@dataclass(frozen=True)
class Outcome:
    """What a run reached.

    dev (float): The best score on the dev corpus, by the config's `score_weights`. step (int): The step that had it.
    tests (list[float]): The score of that pipeline on each test corpus.
    scores (dict[str, Any]): All scores on the first of them, or on dev without a test corpus.
    parameters (dict[str, int]): Trained parameters by part (see `parameter_groups`), those of a fine-tuned backbone
        under "backbone". of_backbone (int): How many the backbone has.
    n_bytes (int): Of the saved pipeline. n_steps (int), words (int), seconds (float): Of training, with evaluations.
    curve (list[tuple[int, float, float]]): Step, seconds and score of each evaluation.
    """

    dev: float
    step: int
    tests: list[float]
    scores: dict[str, Any]
    parameters: dict[str, int]
    of_backbone: int
    n_bytes: int
    n_steps: int
    words: int
    seconds: float
    curve: list[tuple[int, float, float]]

    def to_disk(self, folder: Path) -> None:
        """Write it into the folder of the run."""
        srsly.write_json(folder / OUTCOME, asdict(self))

    @classmethod
    def from_disk(cls, folder: Path) -> Outcome:
        """Read what `to_disk` wrote."""
        return cls(**srsly.read_json(folder / OUTCOME))
