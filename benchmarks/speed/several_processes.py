"""Training steps in several processes of one thread each, against one process of one thread.

python -m benchmarks.speed.several_processes [--backbone NAME_OR_FOLDER] [--corpus FILE.spacy] [--sentences 0]
    [--processes 2] [--repeats 5]

Each run is an epoch of `spacy ptv2 train` with configs/ner.cfg, by torchrun, in turn with its neighbour. The clock
(`lib/clock.py`) runs from the second step to the last, so that no start, evaluation or saving is in it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import typer
from thinc.api import Config

from ..lib.pipelines import MINILM, spread
from ..lib.results import record, table
from ..lib.training import CLOCK, prompt_config, save_sentences, write_clocked_epoch

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node")


def main(
    backbone: str = MINILM,
    corpus: Path | None = None,
    sentences: int = 0,
    processes: int = 2,
    repeats: int = 5,
    results: Path | None = None,
) -> None:
    """Print how many times as fast several processes are, and write it to the results."""
    with tempfile.TemporaryDirectory() as name:
        config = prompt_config(save_sentences(corpus, sentences, Path(name)), backbone)
        ratios = []
        for _ in range(repeats):
            alone, together = (run(config, Path(name), n) for n in (1, processes))
            ratios.append(alone / together)
    rows = [("deep prompts + LoRA, as shipped", spread(ratios))]
    text = table(("what trains", f"{processes} processes, times as fast as one"), rows)
    print(text)
    record(f"{processes} processes, {Path(backbone).name}", text, results)


def run(config: Config, folder: Path, processes: int) -> float:
    """Train. RETURNS: The seconds of the steps."""
    path, times = write_clocked_epoch(config, folder)
    command = [*TORCHRUN, str(processes), "-m", "spacy", "ptv2", "train", str(path), "--code", str(CLOCK)]
    subprocess.run(
        [*command, "--output", str(folder / "training"), "--force"],
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
    )
    return float(json.loads(times.read_text())["all"])


if __name__ == "__main__":
    typer.run(main)
