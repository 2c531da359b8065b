"""A bank of tasks under threads: whether each text is annotated as by its task alone, and how fast.

python -m benchmarks.speed.bank [--backbone NAME_OR_FOLDER] [--texts 10000] [--threads 16] [--tasks 8]

Sentences of Wikigold, repeated, each with a task drawn at random (seeded). Threads annotate a share each through
`AdapterBank.pipe`, while another thread loads, replaces and unloads a further task. Against it: each text by
`nlp(text)` of its own task's pipeline, and all texts of a task by `nlp.pipe`, both in one thread. The work of each is
compared in one thread as well, in turns, by processor time: threads against none say more about the machine than about
the bank.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import spacy
import typer
from spacy.language import Language
from spacy.tokens import Doc

from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.serving import AdapterBank

from ..lib.memory import resident_bytes
from ..lib.pipelines import MINILM, read_docs, save_tasks, seconds, top_third

Spans = list[tuple[int, int, str]]


def main(
    backbone: str = MINILM,
    texts: int = 10_000,
    threads: int = 16,
    tasks: int = 8,
    all_layers: bool = False,
    deviation: float = 0.06,
) -> None:
    """Print the number of texts that differ, the ratios of throughput, and the memory of a task.

    all_layers: Prompts in all layers instead of the top third. deviation: Of the random heads; of wide backbones lower.
    """
    n_layers = get_backbone(BackboneSource(backbone)).n_layers
    layers = None if all_layers else list(top_third(n_layers))
    with tempfile.TemporaryDirectory() as folder:
        paths = save_tasks(Path(folder), [f"task_{number}" for number in range(tasks)], backbone, layers, deviation)
        bank, resident = fill(backbone, paths)
        asked = draw(texts, list(paths))
        together: list[Spans] = []
        with changing(bank, paths["task_0"]) as changes:
            bank_seconds = seconds(lambda: together.extend(annotate(bank, asked, threads)))
        alone = {name: spacy.load(path) for name, path in paths.items()}
        expected: list[Spans] = []
        one_by_one = seconds(lambda: expected.extend(spans_of(alone[name](text)) for text, name in asked))
    n_different = sum(got != want for got, want in zip(together, expected, strict=True))
    print(f"{texts} texts, {tasks} tasks, {threads} threads, {sum(map(len, expected))} entities, {changes()} changes")
    print(f"texts that differ from their task alone: {n_different}")
    print(f"throughput, bank in {threads} threads / text by text in one: {one_by_one / bank_seconds:.2f}")
    for label, ratio in work(bank, alone, asked[:400]).items():
        print(f"processor time, {label} / bank: {ratio:.2f}")
    info = bank.info()
    for task in islice(info.tasks.values(), 1):
        print(f"a task: prompt {task.adapter_bytes:,} bytes, heads {task.head_bytes:,} bytes")
    print(f"the backbone, once: {info.backbone_bytes:,} bytes")
    print(f"resident memory per further task: {resident:,.0f} bytes")


def fill(backbone: str, paths: dict[str, Path]) -> tuple[AdapterBank, float]:
    """Return a bank of all tasks, and the bytes of resident memory that each took, the first one left out."""
    bank = AdapterBank(BackboneSource(backbone, dtype="float32"))
    resident = []
    for name, path in paths.items():
        bank.load(name, path)
        resident.append(resident_bytes())
    return bank, (resident[-1] - resident[0]) / max(1, len(resident) - 1)


def draw(n_texts: int, names: Sequence[str]) -> list[tuple[str, str]]:
    """Return sentences of Wikigold, from the start again where they end, with a random task each."""
    docs = read_docs(spacy.blank("en"), n_texts)
    choose = random.Random(0)
    return [(doc.text, choose.choice(names)) for doc in islice(cycle(docs), n_texts)]


def annotate(bank: AdapterBank, asked: Sequence[tuple[str, str]], threads: int) -> list[Spans]:
    """Return the entities of each text, computed in threads that start together."""
    start = threading.Barrier(threads)

    def share(number: int) -> list[Spans]:
        start.wait()
        return [spans_of(doc) for doc in bank.pipe(asked[number::threads])]

    found: list[Spans] = [[] for _ in asked]
    with ThreadPoolExecutor(threads) as pool:
        for number, spans in enumerate(pool.map(share, range(threads))):
            found[number::threads] = spans
    return found


def work(bank: AdapterBank, alone: dict[str, Language], asked: Sequence[tuple[str, str]]) -> dict[str, float]:
    """Return how much more processor time than the bank other ways take in one thread, the median of three turns."""

    def by_task() -> None:
        for name, nlp in alone.items():
            list(nlp.pipe(text for text, task in asked if task == name))

    ways: dict[str, Callable[[], object]] = {
        "bank": lambda: list(bank.pipe(asked)),
        "text by text": lambda: [alone[name](text) for text, name in asked],
        "task by task": by_task,
        "bank, 8 texts at a time": lambda: [list(bank.pipe(asked[i : i + 8])) for i in range(0, len(asked), 8)],
    }
    turns = [{label: processor_seconds(run) for label, run in ways.items()} for _ in range(3)]
    return {label: median(turn[label] / turn["bank"] for turn in turns) for label in ways if label != "bank"}


def processor_seconds(run: Callable[[], object]) -> float:
    """Return the processor time of a call, all threads together."""
    start = time.process_time()
    run()
    return time.process_time() - start


class changing:
    """Loads, replaces and unloads a further task of a bank while something else runs; calling it tells how often."""

    def __init__(self, bank: AdapterBank, path: Path) -> None:
        self._bank, self._path = bank, path
        self._n_changes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            self._bank.load("further", self._path)
            self._bank.load("further", self._path, replace=True)
            self._bank.unload("further")
            self._n_changes += 3

    def __enter__(self) -> Callable[[], int]:
        self._thread.start()
        return lambda: self._n_changes

    def __exit__(self, *args: object) -> None:
        self._stop.set()
        self._thread.join()


def spans_of(doc: Doc) -> Spans:
    """Return the entities of a Doc."""
    return [(ent.start, ent.end, ent.label_) for ent in doc.ents]


if __name__ == "__main__":
    typer.run(main)
