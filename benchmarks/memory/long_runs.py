"""Resident memory of processes that run for long: texts as they come, pipelines as they come and go.

python -m benchmarks.memory.long_runs stream [--engine torch] [--minutes 60] [--settle 5] [--most 50]
python -m benchmarks.memory.long_runs service [--minutes 60] [--settle 5] [--most 50]
python -m benchmarks.memory.long_runs cycles [--what bank] [--times 200]

`stream` annotates texts made of Wikigold's words, from 1 word to 600, no two alike, a hundredth of their words never
seen before; prints the resident memory over time, and the growth after the first minutes: the highest value since,
less the value then. `service` sends such texts to examples/serve under uvicorn, every tenth time what it refuses, and
looks at the memory of that process. `cycles` does one thing again and again: loads a task into a bank and unloads it
("bank"), loads a pipeline ("load"), initialises it again ("initialize"), or trains two trials for an epoch ("trials");
its growth is from the end of the first tenth. All exit with status 1 where the growth is above `--most` megabytes.
"""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, islice, pairwise
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import spacy
import typer
from spacy.tokens import DocBin
from spacy.training import Example

from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.serving import AdapterBank
from spacy_ptv2.training.trials import train_trials

from ..lib.annotators import ours, read_texts
from ..lib.memory import resident_bytes
from ..lib.pipelines import MINILM, read_corpus, save_tasks
from ..lib.results import record, table
from ..lib.training import PROMPT_RATE, one_epoch_config

app = typer.Typer()

LONGEST = 600  # words of a text
NEW_WORDS = 0.01  # share of words that no text had before
TEXTS_AT_A_TIME = 20
TASK = "entities"
REFUSED = ".,!(" * 5000  # the tokenizer would take minutes


@dataclass(frozen=True)
class Sample:
    """What was seen at a time. at (float): Seconds since the start. words (int): Read so far."""

    at: float
    megabytes: float
    words: int

    @property
    def row(self) -> tuple[str, str, str]:
        """Minutes, words and megabytes, for a table."""
        return f"{self.at / 60:.1f}", f"{self.words:,}", f"{self.megabytes:.0f}"


@app.command()
def stream(
    backbone: str = MINILM,
    engine: str = "torch",
    minutes: float = 60.0,
    settle: float = 5.0,
    most: float = 50.0,
    every: float = 60.0,
    results: Path | None = None,
) -> None:
    """Annotate varied texts for some minutes. every: Seconds between the rows of the table."""
    nlp = ours(backbone, **{"runtime.engine": engine})
    texts = draw_texts(random.Random(0))

    def annotate() -> int:
        return sum(len(doc) for doc in nlp.pipe(islice(texts, TEXTS_AT_A_TIME)))

    samples = watch(annotate, resident_bytes, 60 * minutes, every)
    conclude(f"Memory of a stream: {Path(backbone).name}, {engine}", samples, settle, most, every, results)


@app.command()
def service(
    backbone: str = MINILM,
    minutes: float = 60.0,
    settle: float = 5.0,
    most: float = 50.0,
    every: float = 60.0,
    results: Path | None = None,
) -> None:
    """Send varied texts to a service for some minutes."""
    texts, number = draw_texts(random.Random(0)), count()
    with tempfile.TemporaryDirectory() as folder, running_service(backbone, Path(folder)) as (port, process):

        def ask() -> int:
            chosen = [REFUSED] if next(number) % 10 == 9 else list(islice(texts, TEXTS_AT_A_TIME))
            body = json.dumps([{"text": text, "task": TASK} for text in chosen]).encode("utf8")
            request = Request(f"http://127.0.0.1:{port}/annotate", body, {"Content-Type": "application/json"})
            try:
                with urlopen(request, timeout=120) as response:
                    response.read()
            except HTTPError as error:
                assert chosen == [REFUSED] and error.code == 413, error.read()
                return 0
            return sum(len(text.split()) for text in chosen)

        samples = watch(ask, lambda: resident_bytes(process), 60 * minutes, every)
    conclude(f"Memory of a service: {Path(backbone).name}", samples, settle, most, every, results)


@app.command()
def cycles(what: str = "bank", backbone: str = MINILM, times: int = 200, most: float = 10.0) -> None:
    """Do one thing again and again."""
    with tempfile.TemporaryDirectory() as folder:
        run = REPEATED[what](backbone, Path(folder))
        samples: list[tuple[float, float]] = []
        for number in range(times):
            run()
            samples.append((number, resident_bytes() / 1e6))
    rows = [(f"{number + 1}", f"{samples[number][1]:.1f}") for number in range(0, times, max(1, times // 10))]
    growth = growth_after(samples, times // 10)
    print(f"{table((what, 'MB'), rows)}\n\ngrowth after {times // 10}: {growth:.1f} MB")
    raise typer.Exit(int(growth > most))


def draw_texts(draw: random.Random) -> Iterator[str]:
    """Yield texts without end, most of them short: their lengths are uniform on a logarithmic scale."""
    words = [word for text in read_texts(None) for word in text.words]
    number = count()
    while True:
        length = round(LONGEST ** draw.random())
        start = draw.randrange(len(words) - length)
        chosen = words[start : start + length]
        yield " ".join(f"Q{next(number)}x" if draw.random() < NEW_WORDS else word for word in chosen)


def watch(work: Callable[[], int], size: Callable[[], int], seconds: float, every: float) -> list[Sample]:
    """Work until the time is over, and print a row now and then.

    work (Callable): Returns how many words it read. size (Callable): Bytes. every (float): Seconds between the rows.
    """
    start, samples = time.monotonic(), [Sample(-every, 0.0, 0)]
    while (at := time.monotonic() - start) < seconds:
        n_words = samples[-1].words + work()
        samples.append(Sample(at, size() / 1e6, n_words))
        if is_next(*samples[-2:], every):
            print(*samples[-1].row, flush=True)
    return samples[1:]


def conclude(
    title: str, samples: Sequence[Sample], settle: float, most: float, every: float, results: Path | None
) -> None:
    """Print and record what was seen. RAISES (Exit): Always, with status 1 where memory grew by more than `most`."""
    rows = [
        sample.row for before, sample in pairwise([Sample(-every, 0.0, 0), *samples]) if is_next(before, sample, every)
    ]
    growth = growth_after([(sample.at, sample.megabytes) for sample in samples], 60 * settle)
    text = f"{table(('minutes', 'words', 'MB'), rows)}\n\ngrowth after {settle:g} minutes: {growth:.1f} MB"
    print(text)
    record(title, text, results)
    raise typer.Exit(int(growth > most))


def is_next(before: Sample, sample: Sample, every: float) -> bool:
    """Return whether a sample is the first of a stretch of `every` seconds."""
    return int(before.at // every) < int(sample.at // every)


@contextmanager
def running_service(backbone: str, folder: Path) -> Iterator[tuple[int, int]]:
    """Run examples/serve with one task. YIELDS: Its port, and the number of its process."""
    ours(backbone, dtype="auto").to_disk(folder / TASK)
    settings = {"backbone": backbone, "tasks": {TASK: str(folder / TASK)}}
    (folder / "service.json").write_text(json.dumps(settings), encoding="utf8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", "examples.serve.app:create_app", "--port", str(port)]
    environment = {**os.environ, "SPACY_PTV2_SERVICE": str(folder / "service.json")}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        while True:
            try:
                urlopen(f"http://127.0.0.1:{port}/health", timeout=10).close()
                break
            except OSError:
                if process.poll() is not None:
                    raise typer.BadParameter((folder / "log").read_text()) from None
                time.sleep(0.2)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def growth_after(samples: list[tuple[float, float]], settled: float) -> float:
    """Return by how much the highest value after some time is above the one at that time."""
    later = [size for at, size in samples if at >= settled]
    return max(later) - later[0] if later else 0.0


def repeat_bank(backbone: str, folder: Path) -> Callable[[], object]:
    """Return what loads a task into a bank and unloads it."""
    path = save_tasks(folder, ["task_0"], backbone, None, 0.06)["task_0"]
    bank = AdapterBank(BackboneSource(backbone, dtype="float32"))

    def run() -> None:
        bank.load("task", path)
        bank("Peter Hansen works in London.", "task")
        bank.unload("task")

    return run


def repeat_load(backbone: str, folder: Path) -> Callable[[], object]:
    """Return what loads a pipeline and annotates a text."""
    path = save_tasks(folder, ["task_0"], backbone, None, 0.06)["task_0"]
    held = spacy.load(path)  # as long as this lives, the backbone is not loaded again
    return lambda: (spacy.load(path)("Peter Hansen works in London."), held)


def repeat_initialize(backbone: str, folder: Path) -> Callable[[], object]:
    """Return what initialises a pipeline again."""
    nlp = ours(backbone)
    gold = list(islice(read_corpus(None, nlp.vocab), 20))
    examples = [Example(nlp.make_doc(doc.text), doc) for doc in gold]
    nlp.config["initialize"]["before_init"] = None
    return lambda: nlp.initialize(lambda: examples)


def repeat_trials(backbone: str, folder: Path) -> Callable[[], object]:
    """Return what trains two trials for an epoch."""
    DocBin(docs=islice(read_corpus(None, spacy.blank("en").vocab), 10)).to_disk(folder / "corpus.spacy")
    config = one_epoch_config(folder / "corpus.spacy", backbone, None)
    held = spacy.load(save_tasks(folder, ["task_0"], backbone, None, 0.06)["task_0"])
    trials = {"slow": {PROMPT_RATE: 0.01}, "fast": {PROMPT_RATE: 0.03}}
    return lambda: (train_trials(config, trials, folder / "out", report=lambda *_: None), held)


REPEATED = {"bank": repeat_bank, "load": repeat_load, "initialize": repeat_initialize, "trials": repeat_trials}

if __name__ == "__main__":
    app()
