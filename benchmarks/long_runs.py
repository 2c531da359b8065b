"""Resident memory of processes that run for long: texts as they come, pipelines as they come and go.

python -m benchmarks.long_runs stream [--engine torch] [--minutes 60] [--settle 5] [--most 50]
python -m benchmarks.long_runs cycles [--what bank] [--times 200]

`stream` annotates texts made of Wikigold's words, from 1 word to 600, no two alike, a hundredth of their words never
seen before; prints the resident memory over time, and the growth after the first minutes: the highest value since,
less the value then. `cycles` does one thing again and again: loads a task into a bank and unloads it ("bank"), loads a
pipeline ("load"), initialises it again ("initialize"), or trains two trials for an epoch ("trials"); its growth is from
the end of the first tenth. Both exit with status 1 where the growth is above `--most` megabytes.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path

import spacy
import typer
from spacy.language import Language
from spacy.tokens import DocBin
from spacy.training import Example

from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.serving import PromptBank
from spacy_ptv2.training.trials import train_trials

from .annotators import ours, read_texts
from .bank import save_tasks
from .memory import resident_bytes
from .pipelines import MINILM, read_corpus
from .results import RESULTS, record, table
from .trials import RATE, build_config

app = typer.Typer()

LONGEST = 600  # words of a text
NEW_WORDS = 0.01  # share of words that no text had before
TEXTS_AT_A_TIME = 20


@app.command()
def stream(
    backbone: str = MINILM,
    engine: str = "torch",
    minutes: float = 60.0,
    settle: float = 5.0,
    most: float = 50.0,
    every: float = 60.0,
    results: Path = RESULTS,
) -> None:
    """Annotate varied texts for some minutes. every: Seconds between the rows of the table."""
    nlp = ours(backbone, engine=engine)
    samples: list[tuple[float, float]] = []
    rows: list[tuple[str, str, str]] = []
    for at, size, n_words in watch(nlp, draw_texts(random.Random(0)), 60 * minutes):
        samples.append((at, size))
        if at >= every * len(rows):
            rows.append((f"{at / 60:.1f}", f"{n_words:,}", f"{size:.0f}"))
            print(*rows[-1], flush=True)
    growth = growth_after(samples, 60 * settle)
    text = f"{table(('minutes', 'words', 'MB'), rows)}\n\ngrowth after {settle:g} minutes: {growth:.1f} MB"
    print(text)
    record(f"Memory of a stream: {Path(backbone).name}, {engine}", text, results)
    raise typer.Exit(int(growth > most))


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


def watch(nlp: Language, texts: Iterator[str], seconds: float) -> Iterator[tuple[float, float, int]]:
    """Annotate until the time is over. YIELDS: Seconds since the start, megabytes, and words so far."""
    start, n_words = time.monotonic(), 0
    while (at := time.monotonic() - start) < seconds:
        n_words += sum(len(doc) for doc in nlp.pipe(islice(texts, TEXTS_AT_A_TIME)))
        yield at, resident_bytes() / 1e6, n_words


def growth_after(samples: list[tuple[float, float]], settled: float) -> float:
    """Return by how much the highest value after some time is above the one at that time."""
    later = [size for at, size in samples if at >= settled]
    return max(later) - later[0] if later else 0.0


def repeat_bank(backbone: str, folder: Path) -> Callable[[], object]:
    """Return what loads a task into a bank and unloads it."""
    path = save_tasks(folder, ["task_0"], backbone, None, 0.06)["task_0"]
    bank = PromptBank(BackboneSource(backbone, dtype="float32"))

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
    config = build_config(folder / "corpus.spacy", backbone, None)
    held = spacy.load(save_tasks(folder, ["task_0"], backbone, None, 0.06)["task_0"])
    trials = {"slow": {RATE: 0.01}, "fast": {RATE: 0.03}}
    return lambda: (train_trials(config, trials, folder / "out", report=lambda *_: None), held)


REPEATED = {"bank": repeat_bank, "load": repeat_load, "initialize": repeat_initialize, "trials": repeat_trials}

if __name__ == "__main__":
    app()
