"""`spacy ptv2 annotate` against `nlp.pipe` alone: what reading, shards and writing take in addition.

python -m benchmarks.speed.bulk [--backbone NAME_OR_FOLDER] [--texts 600] [--repeats 5]

Sentences of Wikigold, and documents of ten of them, as JSON lines. Both ways run in turns in this process, over one
pipeline that was loaded before. A ratio above 1 is overhead; that of processor time says more on a busy machine.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import spacy
import typer

from spacy_ptv2.bulk.layout import FORMATS
from spacy_ptv2.bulk.pipelines import load_once
from spacy_ptv2.bulk.run import Running, Settings, annotate

from ..lib.pipelines import MINILM, read_docs, save_tasks, top_third
from ..lib.results import record, table

Times = tuple[float, float]  # by the clock, of the processor


def main(
    backbone: str = MINILM, texts: int = 600, shard_size: int = 200, repeats: int = 5, results: Path | None = None
) -> None:
    """Print and record the ratios, the median of all turns with their range."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        layers = list(top_third(6)) if backbone == MINILM else None
        paths = save_tasks(folder, ["task_0"], backbone, layers, 0.06)
        nlp = spacy.load(paths["task_0"])
        load_once((("task_0", str(paths["task_0"])),), -1, 1)
        sentences = [doc.text for doc in read_docs(nlp, texts)]
        documents = [" ".join(sentences[start : start + 10]) for start in range(0, len(sentences), 10)]
        for what, own in (("sentences", sentences), ("documents", documents)):
            source = folder / f"{what}.jsonl"
            source.write_text("".join(json.dumps({"text": text}) + "\n" for text in own), encoding="utf8")
            for format in FORMATS:
                settings = Settings(format=format, shard_size=shard_size)
                ratios = []
                for number in range(repeats + 1):
                    output = folder / f"{what}-{format}-{number}"
                    pipelines = {"task_0": str(paths["task_0"])}
                    bulk = timed(lambda: annotate(pipelines, source, output, settings, Running()))  # noqa: B023
                    alone = timed(lambda: [None for _ in nlp.pipe(own)])  # noqa: B023
                    ratios.append([both / one for both, one in zip(bulk, alone, strict=True)])
                clock, processor = zip(*ratios[1:], strict=True)  # the first turn warms up
                rows.append([what, format, show(clock), show(processor)])
    text = table(["texts", "format", "clock", "processor"], rows)
    print(text)
    record(f"{texts} sentences, shards of {shard_size}", text, results)


def timed(run: Callable[[], object]) -> Times:
    """Return how long a call takes."""
    clock, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - clock, time.process_time() - processor


def show(ratios: tuple[float, ...]) -> str:
    """Return median and range, to a thousandth."""
    return f"{median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"


if __name__ == "__main__":
    typer.run(main)
