"""Accuracy of adapters and of fine-tuning: the same corpus, heads and effort, several seeds, selection on dev alone.

python -m benchmarks.accuracy.accuracy OUTPUT TRAIN.spacy DEV.spacy TEST.spacy [--config configs/ner.cfg]
    [--backbone NAME] [--seeds 0,1,2] [--ways adapter,features,plain,spacy-transformers] [--rates 5e-5,1e-4,2e-4]
    [--epochs 5] [--sentences 0] [--evaluations 0] [--gpu-id -1] [--jobs 1] [--results FILE.md]

Adapters train by `spacy train` with the config as it is. The ways of fine-tuning: "features" and "plain" by
`fine_tuning.py`, "spacy-transformers" by `configs/finetune_ner.cfg` (entities only). Their learning rate is the one of
`--rates` with the best dev score at the first seed. Each run is a process with a folder of its own under OUTPUT; runs
that are finished there are not repeated, so an interrupted command goes on where it was. The last two columns are
times, evaluations included, as shares of what "plain" took (the first way, where that is left out): until dev was
within one point of the best of that run, and until it had reached the best of "plain" with the same seed. They mean
something only under the same load: one run after the other, or as many `--jobs` as ways with a thread each
(`OMP_NUM_THREADS=1`). They are as coarse as evaluations are far apart, once an epoch as shipped; `--evaluations 40`
gives each run about so many.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import inf
from pathlib import Path
from statistics import mean
from typing import IO, Any

import spacy
import typer
from spacy.util import load_config

from spacy_ptv2 import BackboneSource, find_backbone

from ..lib.pipelines import CONFIGS, MINILM, baseline_config
from ..lib.results import record, table
from ..lib.training import ENCODER, count_parts, evaluated, score

PLAIN = "plain"
WAYS = {
    "adapter": "deep prompts + LoRA",
    "features": "fine-tuning with our scalar mix, word shape and averages",
    PLAIN: "fine-tuning with our head",
    "spacy-transformers": "fine-tuning, spacy-transformers and `ner`",
}
WITHIN = 0.01  # of its own best score


@dataclass(frozen=True)
class Task:
    """What all runs have in common.

    sentences (int): Of the training corpus, from its start; 0 for all. evaluations (int): Of each run, about; 0 for as
    many as its config says.
    """

    train: Path
    dev: Path
    test: Path
    config: Path
    backbone: str
    epochs: int
    sentences: int
    evaluations: int
    gpu_id: int


@dataclass(frozen=True)
class Run:
    """One training. rate (str): Of fine-tuning, empty for adapters."""

    way: str
    seed: int
    rate: str = ""

    @property
    def name(self) -> str:
        """The name of its folder."""
        return "-".join(part for part in (self.way, self.rate, str(self.seed)) if part)


def main(
    output: Path,
    train: Path,
    dev: Path,
    test: Path,
    config: Path = CONFIGS / "ner.cfg",
    backbone: str = MINILM,
    seeds: str = "0,1,2",
    ways: str = ",".join(WAYS),
    rates: str = "5e-5,1e-4,2e-4",
    epochs: int = 5,
    sentences: int = 0,
    evaluations: int = 0,
    gpu_id: int = -1,
    jobs: int = 1,
    results: Path | None = None,
) -> None:
    """Train what is not there yet, print one row per way, and write the table to the results."""
    task = Task(train, dev, test, config, backbone, epochs, sentences, evaluations, gpu_id)
    first, *others = map(int, seeds.split(","))
    chosen = ways.split(",")
    if not set(chosen) <= set(WAYS):
        raise typer.BadParameter(f"expected --ways among {', '.join(WAYS)}, got {ways}")
    if "spacy-transformers" in chosen:
        baseline_config()  # stops before anything is trained
    tried = [Run(way, first, rate) for way in chosen for rate in ([""] if way == "adapter" else rates.split(","))]
    outcomes = run_all(task, tried, output, jobs)
    best = {way: max((r for r in tried if r.way == way), key=lambda r: outcomes[r]["dev"]) for way in chosen}
    rest = [Run(way, seed, best[way].rate) for way in chosen for seed in others]
    outcomes.update(run_all(task, rest, output, jobs))
    by_way = {way: [outcomes[run] for run in [best[way], *rest] if run.way == way] for way in chosen}
    text = summary(by_way, {way: run.rate for way, run in best.items()})
    print(text)
    record(heading(task), text, results)


def heading(task: Task) -> str:
    """Return the heading of the table."""
    size = f", first {task.sentences}" if task.sentences else ""
    return f"Accuracy, {task.config.stem}, {task.train.parent.name}/{task.train.stem}{size}, {Path(task.backbone).name}"


def run_all(task: Task, runs: Sequence[Run], output: Path, jobs: int) -> dict[Run, dict[str, Any]]:
    """Return the outcome of each run, from its folder where it is finished."""
    with ThreadPoolExecutor(jobs) as pool:
        outcomes = pool.map(lambda run: run_one(task, run, output / run.name), runs)
        return dict(zip(runs, outcomes, strict=True))


def run_one(task: Task, run: Run, folder: Path) -> dict[str, Any]:
    """Train and score once, in processes of their own. RETURNS: What `result.json` in its folder holds."""
    result = folder / "result.json"
    if not result.exists():
        folder.mkdir(parents=True, exist_ok=True)
        print(f"{run.name}: training, see {folder / 'log.txt'}", file=sys.stderr, flush=True)
        with (folder / "log.txt").open("w", encoding="utf8") as log:
            train = train_by_spacy if run.way in ("adapter", "spacy-transformers") else fine_tune
            train(task, run, folder, log)
    outcome: dict[str, Any] = json.loads(result.read_text(encoding="utf8"))
    print(f"{run.name}: dev {outcome['dev']:.4f}, test {outcome['test']:.4f}", file=sys.stderr, flush=True)
    return outcome


def train_by_spacy(task: Task, run: Run, folder: Path, log: IO[str]) -> None:
    """Run `spacy train` with a shipped config, and write `result.json`."""
    config, own = config_and_changes(task, run)
    changes = {
        "paths.train": task.train,
        "paths.dev": task.dev,
        "paths.curve": folder / "curve.jsonl",
        "system.seed": run.seed,
        "corpora.train.limit": task.sentences,
        **own,
    }
    options = [text for key, value in changes.items() for text in (f"--{key}", str(value))]
    call(["spacy", "train", str(config), "--output", str(folder), "--gpu-id", str(task.gpu_id), *options], log)
    points = [json.loads(line) for line in (folder / "curve.jsonl").read_text(encoding="utf8").splitlines()]
    nlp = spacy.load(folder / "model-best")
    outcome = {
        "dev": max(point["score"] for point in points),
        "test": score(nlp, task.test),
        "parameters": count_parts(nlp),
        "curve": [{"seconds": point["seconds"], "score": point["score"]} for point in points],
    }
    (folder / "result.json").write_text(json.dumps(outcome), encoding="utf8")


def config_and_changes(task: Task, run: Run) -> tuple[Path, dict[str, Any]]:
    """Return the config that `spacy train` takes for adapters or spacy-transformers, and what is not as shipped."""
    if run.way == "adapter":
        epochs = load_config(task.config)["initialize"]["before_init"]["epochs"]
        return task.config, {**evaluated(task.evaluations, epochs), f"{ENCODER}.backbone.name": task.backbone}
    changes = {
        **evaluated(task.evaluations, task.epochs),
        "initialize.before_init.epochs": task.epochs,
        "paths.backbone": find_backbone(BackboneSource(task.backbone)),
        "training.optimizer.learn_rate.initial_rate": run.rate,
    }
    return baseline_config(), changes


def fine_tune(task: Task, run: Run, folder: Path, log: IO[str]) -> None:
    """Run `benchmarks.accuracy.fine_tuning`, which writes `result.json`."""
    options = {
        "backbone": task.backbone,
        "rate": run.rate,
        "epochs": task.epochs,
        "sentences": task.sentences,
        "evaluations": task.evaluations,
        "seed": run.seed,
        "gpu-id": task.gpu_id,
    }
    command = ["benchmarks.accuracy.fine_tuning", *map(str, (task.config, folder, task.train, task.dev, task.test))]
    command += [text for key, value in options.items() for text in (f"--{key}", str(value))]
    call([*command, "--plain"] if run.way == PLAIN else command, log)


def call(arguments: Sequence[str], log: IO[str]) -> None:
    """Run a module in a process of its own. RAISES (SystemExit): If it fails."""
    done = subprocess.run([sys.executable, "-m", *arguments], stdout=log, stderr=subprocess.STDOUT)
    if done.returncode:
        raise SystemExit(f"It failed, see {log.name}: python -m {' '.join(arguments)}")


def summary(by_way: Mapping[str, Sequence[Mapping[str, Any]]], rates: Mapping[str, str]) -> str:
    """Return the table. by_way: The outcomes of each way's seeds, in one order. rates: The rate of each way."""
    peer = PLAIN if PLAIN in by_way else next(iter(by_way))
    goals = [max(point["score"] for point in outcome["curve"]) for outcome in by_way[peer]]
    times = {
        way: (
            mean(seconds_until_close(outcome["curve"]) for outcome in outcomes),
            mean(seconds_until(outcome["curve"], goal) for outcome, goal in zip(outcomes, goals, strict=True)),
        )
        for way, outcomes in by_way.items()
    }
    rows = []
    for way, outcomes in by_way.items():
        to_own, to_goal = (time / of_peer for time, of_peer in zip(times[way], times[peer], strict=True))
        rows.append(
            (
                WAYS[way] + (f", rate {rates[way]}" if rates[way] else ""),
                _scores([outcome["dev"] for outcome in outcomes]),
                _scores([outcome["test"] for outcome in outcomes]),
                f"{sum(outcomes[0]['parameters'].values()):,}",
                f"{to_own:.2f}",
                f"{to_goal:.2f}" if to_goal < inf else "never",
            )
        )
    text = table(("what trains", "dev", "test", "trained", "time to within 1", f"to the best of {peer}"), rows)
    parts = [outcomes[0]["parameters"] for way, outcomes in by_way.items() if way == "adapter"]
    return "\n\n".join([text, *(", ".join(f"{name} {n:,}" for name, n in part.items()) for part in parts)])


def seconds_until_close(curve: Sequence[Mapping[str, float]]) -> float:
    """Return when a curve first came within a point of its best score."""
    return seconds_until(curve, max(point["score"] for point in curve) - WITHIN)


def seconds_until(curve: Sequence[Mapping[str, float]], score: float) -> float:
    """Return when a curve first had a score, infinity if it never had."""
    return next((point["seconds"] for point in curve if point["score"] >= score), inf)


def _scores(scores: Sequence[float]) -> str:
    """Return their mean, and each."""
    each = " ".join(f"{value:.4f}".lstrip("0") for value in scores)
    return f"{mean(scores):.4f}".lstrip("0") + f" ({each})"


if __name__ == "__main__":
    typer.run(main)
