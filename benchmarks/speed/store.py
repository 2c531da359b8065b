"""A store of many tasks: throughput against the number of tasks, a limit of memory, and the latency of single requests.

python -m benchmarks.speed.store throughput [--counts 5,1000,2000] [--texts 1024] [--batch-size 128]
python -m benchmarks.speed.store limit [--tasks 10000] [--limit-mb 100] [--texts 2000]
python -m benchmarks.speed.store latency [--tasks 5] [--requests 1000] [--load 0.7] [--waits 0,2,5]

Sentences of Wikigold, each with a task drawn at random (seeded); deep prompts in the top third of the layers. Folders
of tasks share files by hard links; there are `--different` files of parameters. `throughput` holds all tasks in memory
and annotates the same texts with each number of them in turns. `limit` asks for tasks evenly, which is the worst case,
and compares some texts with their pipelines alone. `latency` lets requests come at random times (a Poisson process) at
a share of what each way can do at most.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from statistics import quantiles

import numpy as np
import spacy
import torch
import typer

from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.serialization.models import adapter_shims
from spacy_ptv2.serving import AdapterBank, RequestQueue, StoreUse

from ..lib.memory import resident_bytes
from ..lib.pipelines import MINILM, add_entity_task, draw_head, seconds, spread, top_third
from ..lib.results import record, table
from .bank import draw, processor_seconds, spans_of

app = typer.Typer()

COMPONENT = "entities"
MODEL = Path(COMPONENT) / "model.safetensors"
Asked = list[tuple[str, str]]


@app.command()
def throughput(
    backbone: str = MINILM,
    counts: str = "5,1000,2000",
    texts: int = 1024,
    batch_size: int = 128,
    repeats: int = 3,
    different: int = 50,
    results: Path | None = None,
) -> None:
    """Annotate the same texts with each number of tasks."""
    numbers = [int(count) for count in counts.split(",")]
    with many_tasks(backbone, max(numbers), different) as folder:
        bank = make_bank(backbone, folder)
        names = bank.find()
        before = resident_bytes()
        loading = seconds(lambda: [bank.vocab(name) for name in names])
        growth = resident_bytes() - before
        asked = {number: draw(texts, names[:number]) for number in numbers}
        turns = [in_turns(bank, asked, batch_size) for _ in range(repeats + 1)][1:]  # the first one warms up
    rows = []
    for number in numbers:
        ratios = [[turn[numbers[0]][way] / turn[number][way] for turn in turns] for way in (0, 1)]
        rows.append((f"{number:,}", *map(spread, ratios)))
    text = table(("tasks", f"throughput / that with {numbers[0]}", "the same, processor time"), rows)
    text += f"\n\na task: {1000 * loading / len(names):.1f} ms to load, {growth / len(names):,.0f} bytes of the process"
    text += f", reckoned at {use_of(bank).bytes / len(names):,.0f}"
    show(f"Throughput: {Path(backbone).name}, batches of {batch_size}", text, results)


@app.command()
def limit(
    backbone: str = MINILM,
    tasks: int = 10_000,
    limit_mb: float = 100.0,
    texts: int = 2000,
    batch_size: int = 128,
    different: int = 50,
    results: Path | None = None,
) -> None:
    """Ask for more tasks than there is room for; exit with status 1 where the limit is not held or a result differs."""
    with many_tasks(backbone, tasks, different) as folder:
        bank = make_bank(backbone, folder, limit_mb)
        asked = draw(texts, [path.name for path in folder.iterdir()])
        list(bank.pipe(asked[:batch_size], batch_size=batch_size))
        before, sizes, found = resident_bytes(), [], []
        start = time.perf_counter()
        for first in range(0, texts, batch_size):
            docs = bank.pipe(asked[first : first + batch_size], batch_size=batch_size)
            found.extend(spans_of(doc) for doc in docs)
            sizes.append((use_of(bank).bytes, resident_bytes() - before))
        took = time.perf_counter() - start
        checked = asked[:: max(1, texts // 20)]
        n_different = sum(
            spans_of(spacy.load(folder / name)(text)) != found[asked.index((text, name))] for text, name in checked
        )
    use = use_of(bank)
    most, grown = max(size for size, _ in sizes), max(growth for _, growth in sizes)
    rows = [
        ("most bytes of tasks in memory", f"{most:,}"),
        ("most growth of the process after the first batch", f"{grown:,}"),
        ("tasks loaded, texts whose task was there", f"{use.misses:,}, {use.hits:,}"),
        ("share of the time for loading", f"{use.loading_seconds / took:.2f}"),
        ("ms to load a task", f"{1000 * use.loading_seconds / max(1, use.misses):.1f}"),
        (f"texts of {len(checked)} that differ from their pipelines alone", f"{n_different}"),
    ]
    title = f"A limit of {limit_mb:g} MB: {Path(backbone).name}, {tasks:,} tasks on disk"
    show(title, table((f"{texts:,} texts", ""), rows), results)
    raise typer.Exit(int(most > limit_mb * 1e6 or n_different > 0))


@app.command()
def latency(
    backbone: str = MINILM,
    tasks: int = 5,
    requests: int = 1000,
    load: float = 0.7,
    waits: str = "0,2,5",
    batch_size: int = 32,
    results: Path | None = None,
) -> None:
    """Send single requests at random times. load: The share of the most that each way can do."""
    rows = []
    with many_tasks(backbone, tasks, tasks) as folder:
        bank = make_bank(backbone, folder)
        asked = draw(requests, bank.find())
        ways = {"one by one": (0.0, 1)}
        ways.update({f"gathered, {wait} ms": (float(wait), batch_size) for wait in waits.split(",")})
        for label, (wait_ms, most_together) in ways.items():
            with RequestQueue(bank, wait_ms=wait_ms, batch_size=most_together) as queue:
                send(queue, asked[:100], np.zeros(len(asked[:100])))
                most = 1 / send(queue, asked, np.zeros(requests))[1]
                rate = load * most
                gaps = np.random.RandomState(0).exponential(1 / rate, size=requests)
                taken, _ = send(queue, asked, np.cumsum(gaps))
            low, middle, high = (1000 * quantiles(taken, n=100)[percent - 1] for percent in (50, 95, 99))
            cells = (f"{low:.1f}", f"{middle:.1f}", f"{high:.1f}", f"{high / low:.1f}")
            rows.append((label, f"{most:.0f}", f"{rate:.0f}", *cells))
    header = ("", "most a second", "sent a second", "p50 ms", "p95 ms", "p99 ms", "p99 / p50")
    show(f"Single requests: {Path(backbone).name}, {load:.0%} load", table(header, rows), results)


def send(queue: RequestQueue, asked: Asked, at: np.ndarray) -> tuple[list[float], float]:
    """Send requests at their times. RETURNS: The seconds of each from its time on, and those of all by their number."""
    start, done = time.perf_counter(), {}

    def note(number: int) -> Callable[[object], None]:
        return lambda _: done.__setitem__(number, time.perf_counter() - start)

    answers = []
    for number, (one, moment) in enumerate(zip(asked, at, strict=True)):
        time.sleep(max(0.0, moment - (time.perf_counter() - start)))
        answers.append(queue.submit(*one))
        answers[-1].add_done_callback(note(number))
    for answer in answers:
        answer.result()
    taken = [done[number] - moment for number, moment in enumerate(at)]
    return taken, max(done.values()) / len(asked)


def in_turns(bank: AdapterBank, asked: dict[int, Asked], batch_size: int) -> dict[int, tuple[float, float]]:
    """Return the seconds and the processor seconds that the texts take with each number of tasks."""
    taken = {}
    for number, own in asked.items():
        processor = 0.0

        def run(own: Asked = own) -> None:
            nonlocal processor
            processor = processor_seconds(lambda: list(bank.pipe(own, batch_size=batch_size)))

        taken[number] = (seconds(run), processor)
    return taken


@contextmanager
def many_tasks(backbone: str, n_tasks: int, n_different: int) -> Iterator[Path]:
    """Yield a folder of tasks with equal configs."""
    nlp = spacy.blank("en")
    layers = list(top_third(get_backbone(BackboneSource(backbone)).n_layers))
    add_entity_task(nlp, COMPONENT, backbone, layers)
    pipe = nlp.get_pipe(COMPONENT)
    with tempfile.TemporaryDirectory() as folder:
        store, first = Path(folder) / "store", Path(folder) / "first"
        nlp.to_disk(first)
        models = []
        for number in range(min(n_tasks, n_different)):
            draw_head(pipe, number)
            change_prompt(pipe, number)
            models.append(Path(folder) / f"{number}.safetensors")
            pipe.to_disk(Path(folder) / "one", exclude=["vocab"])  # type: ignore[attr-defined]
            (Path(folder) / "one" / MODEL.name).replace(models[-1])
        others = [path.relative_to(first) for path in first.rglob("*") if path.is_file()]
        for number, model in zip(range(n_tasks), cycle(models), strict=False):
            link_files(first, store / f"task_{number:05}", [path for path in others if path != MODEL])
            os.link(model, store / f"task_{number:05}" / MODEL)
        yield store


def link_files(source: Path, target: Path, names: Sequence[Path]) -> None:
    """Make a folder whose files are those of another one."""
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(source / name, target / name)


def change_prompt(pipe: object, seed: int) -> None:
    """Give the adapter of a component other values, about as large as before."""
    generator = torch.Generator().manual_seed(seed)
    for shim in adapter_shims(pipe.model):  # type: ignore[attr-defined]
        for parameter in shim.encoder.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) * parameter.std()


def make_bank(backbone: str, folder: Path, limit_mb: float | None = None) -> AdapterBank:
    return AdapterBank(BackboneSource(backbone, dtype="float32"), store=folder, limit_mb=limit_mb)


def use_of(bank: AdapterBank) -> StoreUse:
    use = bank.status().store
    assert use is not None  # these banks have one
    return use


def show(title: str, text: str, results: Path | None) -> None:
    print(text)
    record(title, text, results)


if __name__ == "__main__":
    app()
