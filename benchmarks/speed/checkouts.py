"""Training steps and annotation of two checkouts of this repository, in alternating pairs.

python -m benchmarks.speed.checkouts BEFORE AFTER [--corpus FILE.spacy] [--sentences 600] [--steps 40] [--pairs 10]

Each checkout is a folder with all of its files (`git worktree add FOLDER COMMIT`); both run in this environment, in a
process each that waits while the other works. The order changes from pair to pair, and one pair warms up. A ratio is
time before / time after, so more than 1 is faster; the interval is that of the mean of its logarithm, 95 %, by t.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import typer
from scipy.stats import ttest_1samp

from ..lib.pipelines import corpus_name, spread
from ..lib.results import record, table
from ..lib.training import save_sentences

WORKER = Path(__file__).with_name("checkout_worker.py")
WORK = {"train": "training steps", "annotate": "annotation"}


class Checkout:
    """A process over the package of a folder. folder (Path): The checkout. corpus (Path): What it works on."""

    def __init__(self, folder: Path, corpus: Path, steps: int) -> None:
        describe = [sys.executable, "setup.py", "-q", "egg_info"]
        subprocess.run(describe, cwd=folder, check=True)  # its own entry points, found before those that are installed
        command = [sys.executable, "-P", str(WORKER), str(corpus), str(steps)]
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )
        self._answer()

    def seconds(self, work: str) -> float:
        """Return how long a round of work takes, "train" or "annotate"."""
        assert self._process.stdin is not None
        print(work, file=self._process.stdin, flush=True)
        return float(self._answer())

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def _answer(self) -> str | float:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(('"', *"0123456789")):
                answer: str | float = json.loads(line)
                return answer
        raise SystemExit(f"{WORKER.name} stopped with {self._process.wait()} in {self._process.args!r}")


def main(
    before: Path,
    after: Path,
    corpus: Path | None = None,
    sentences: int = 600,
    steps: int = 40,
    pairs: int = 10,
    results: Path | None = None,
) -> None:
    """Print and record a row for training steps and one for annotation."""
    with tempfile.TemporaryDirectory() as folder:
        train = save_sentences(corpus, sentences, Path(folder))
        sides = [Checkout(path.resolve(), train, steps) for path in (before, after)]
        try:
            rows = [(WORK[work], *cells(alternate(sides, work, pairs))) for work in WORK]
        finally:
            for side in sides:
                side.close()
    title = f"{sentences} sentences of {corpus_name(corpus)}; rounds of {steps} steps, {pairs} pairs; {commit(before)}"
    text = f"{title} to {commit(after)}\n\n{table(('work', 'times as fast', 'interval of the mean'), rows)}"
    print(text)
    record("Two checkouts", text, results)


def alternate(sides: Sequence[Checkout], work: str, pairs: int) -> list[float]:
    """Return the ratio of each pair but the first: seconds of the first side by those of the second."""
    ratios = []
    for number in range(pairs + 1):
        order = (0, 1) if number % 2 else (1, 0)
        seconds = {side: sides[side].seconds(work) for side in order}
        ratios.append(seconds[0] / seconds[1])
    return ratios[1:]


def cells(ratios: Sequence[float]) -> tuple[str, str]:
    """Return the median with its range, and the interval of the geometric mean."""
    interval = ttest_1samp(np.log(ratios), 0.0).confidence_interval()
    return spread(list(ratios)), f"{math.exp(interval.low):.3f} to {math.exp(interval.high):.3f}"


def commit(folder: Path) -> str:
    """Return the short name of the commit that a checkout is at."""
    command = ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    typer.run(main)
