"""What a billion documents and a thousand tasks would cost on many machines, from figures of this one.

OMP_NUM_THREADS=1 python -m benchmarks.speed.scale [--backbone NAME_OR_FOLDER] [--documents 1e9] [--words 250]
    [--tasks 1000] [--nodes 100] [--cores 32] [--gpus 8] [--gpu-operations 2e14]

First the constants: `spacy ptv2 annotate` in this process, from JSON lines to JSON lines, over Wikigold joined to
documents of 250 words, with the pipeline of configs/ner.cfg, untrained. Then the arithmetic, which is in
`lib/fleet.py`. No GPU was at hand: --gpu-operations is assumed, a fifth of the 989e12 a second that NVIDIA states for
the H200 in bfloat16, without sparsity.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import spacy
import typer
from transformers import AutoModel

from spacy_ptv2.backbones.lookup import find_backbone
from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.bridge.adapter_shim import AdapterShim
from spacy_ptv2.bulk.pipelines import load_once
from spacy_ptv2.bulk.run import Running, Settings, annotate

from ..lib import fleet as arithmetic
from ..lib.annotators import Text, cut_texts, padded_windows, read_texts
from ..lib.fleet import Constants, Fleet, Tasks, Work
from ..lib.memory import in_fresh_process, resident_bytes
from ..lib.pipelines import MINILM, draw_head, seconds
from ..lib.results import record, table
from ..lib.tasks import build_task

FIRST = "import sys, spacy; spacy.load(sys.argv[1])('Ada Lovelace lived in London.')"
TURNS = 4
COPIES = 8  # of a task, to see what a further one takes


def main(
    backbone: str = MINILM,
    documents: float = 1e9,
    words: int = 250,
    tasks: int = 1000,
    nodes: int = 100,
    cores: int = 32,
    gpus: int = 8,
    gpu_operations: float = 2e14,
    sample_words: int = 50_000,
    results: Path | None = None,
) -> None:
    """Measure the constants, compute, and print and record both."""
    with tempfile.TemporaryDirectory() as name:
        constants = measure(backbone, words, sample_words, Path(name))
    fleet = Fleet(nodes, cores, gpus, gpu_operations)
    text = "\n\n".join([show_constants(constants), *show_costs(constants, Work(documents, words, tasks, 1), fleet)])
    print(text)
    record(f"{Path(backbone).name}: {documents:.0e} documents of {words} words, {tasks} tasks", text, results)


def measure(backbone: str, words: int, sample_words: int, folder: Path) -> Constants:
    """Return the constants of this machine."""
    texts = cut_texts(read_texts(None), sample_words, words)
    nlp, docs = build_task("ner", backbone, lambda nlp: [text.make_doc(nlp) for text in texts])
    draw_head(nlp.get_pipe("token_classifier"))
    paths = [str(folder / f"task_{number}") for number in range(COPIES)]
    for path in paths:
        nlp.to_disk(path)
    source = folder / "texts.jsonl"
    source.write_text("".join(json.dumps({"text": doc.text}) + "\n" for doc in docs), encoding="utf8")
    times = [annotate_once(paths[0], source, folder / f"output{number}") for number in range(TURNS)]
    whole, passes = min(times[1:])  # the first turn warms up
    memory, task_seconds = in_fresh_process(load_further, paths)
    weights = find_backbone(BackboneSource(backbone))
    return Constants(
        word_seconds=whole / sample_words,
        pass_seconds=passes / sample_words,
        word_operations=operations_per_word(backbone, texts),
        read_bytes=source.stat().st_size / sample_words,
        written_bytes=sum(path.stat().st_size for path in (folder / "output0").glob("*.jsonl")) / sample_words,
        start_seconds=median(seconds(lambda: start(paths[0])) for _ in range(3)),
        task_bytes=size_of(Path(paths[0])),
        task_memory=memory,
        task_seconds=task_seconds,
        backbone_bytes=sum(path.stat().st_size for path in weights.glob("*.safetensors")),
        backbone_seconds=median(seconds(lambda: AutoModel.from_pretrained(weights)) for _ in range(3)),
    )


def annotate_once(pipeline: str, source: Path, output: Path) -> tuple[float, float]:
    """Return the processor seconds of a run of `annotate` in this process, and those of them in passes of backbones."""
    load_once((("task", pipeline),), -1, 1)
    passes, predict = 0.0, AdapterShim.predict

    def timed(shim: AdapterShim, windows: Any) -> Any:
        nonlocal passes
        begun = time.process_time()
        states = predict(shim, windows)
        passes += time.process_time() - begun
        return states

    AdapterShim.predict = timed  # type: ignore[method-assign]
    begun = time.process_time()
    try:
        annotate({"task": pipeline}, source, output, Settings(), Running())
    finally:
        AdapterShim.predict = predict  # type: ignore[method-assign]
    return time.process_time() - begun, passes


def load_further(paths: Sequence[str]) -> tuple[float, float]:
    """Return what a further pipeline over the same backbone adds to the memory of this process, and its seconds."""
    kept = [spacy.load(paths[0])]
    before = resident_bytes()
    times = [seconds(lambda: kept.append(spacy.load(path))) for path in paths[1:]]  # noqa: B023
    return (resident_bytes() - before) / len(times), median(times)


def start(pipeline: str) -> None:
    """Annotate a text in a new process, and wait for its end."""
    subprocess.run([sys.executable, "-c", FIRST, pipeline], check=True)


def operations_per_word(backbone: str, texts: Sequence[Text]) -> float:
    """Return the operations of the layers' matrix products: two per weight and piece. Attention itself is left out."""
    held = get_backbone(BackboneSource(backbone))
    weights = sum(p.numel() for layer in held.rule.layers(held.model) for p in layer.parameters())
    pieces = sum(int(batch["attention_mask"].sum()) for batch in padded_windows(held, texts))
    return 2 * weights * pieces / sum(len(text.words) for text in texts)


def size_of(folder: Path) -> float:
    """Return the bytes of all files in a folder."""
    return float(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))


def show_constants(constants: Constants) -> str:
    """Return a table of what was measured."""
    rows = [
        ("annotate, microseconds of processor time per word", f"{1e6 * constants.word_seconds:.1f}"),
        ("of these in the passes", f"{1e6 * constants.pass_seconds:.1f}"),
        ("all else: reading, tokenizer, tags, Docs, writing", f"{1e6 * constants.other_seconds:.1f}"),
        ("operations of a pass per word, millions", f"{constants.word_operations / 1e6:.0f}"),
        ("JSON lines read, written, bytes per word", f"{constants.read_bytes:.1f}, {constants.written_bytes:.1f}"),
        ("from the start of Python to the first text, s", f"{constants.start_seconds:.1f}"),
        ("a task on disk, MB", f"{constants.task_bytes / 1e6:.2f}"),
        ("a further task in a process, MB", f"{constants.task_memory / 1e6:.1f}"),
        ("to load it, ms", f"{1e3 * constants.task_seconds:.0f}"),
        ("the backbone, MB", f"{constants.backbone_bytes / 1e6:.0f}"),
        ("to load all weights, as of a fine-tuned model, ms", f"{1e3 * constants.backbone_seconds:.0f}"),
    ]
    return table(("measured here, one thread", ""), rows)


def show_costs(constants: Constants, work: Work, fleet: Fleet) -> list[str]:
    """Return tables of what the arithmetic gives: for one task and for all of them per document, and for many tasks."""
    every = replace(work, passes=work.tasks)
    runs = [("one task reads each document", work), (f"{work.tasks} tasks read each document", every)]
    rows = [
        (
            what,
            show_hours(arithmetic.cpu_hours(constants, own, fleet)),
            show_hours(arithmetic.gpu_hours(constants, own, fleet)),
            f"{arithmetic.node_megabytes_per_second(constants, own, fleet):.1f}",
        )
        for what, own in runs
    ]
    machines = (f"{fleet.nodes} nodes of {fleet.cores} cores", f"{fleet.gpus} GPUs (assumed)", "MB a second and node")
    busy = arithmetic.cores_per_gpu(constants, fleet)
    feeding = f"A GPU at {fleet.gpu_operations:.0e} operations a second keeps {busy:.0f} cores busy."
    kinds = {
        "ours": arithmetic.adapted(constants, work, fleet),
        "fine-tuned": arithmetic.fine_tuned(constants, work, fleet),
    }
    header = (f"{work.tasks} tasks", "GB on disk", "GB in a process", "GB read by the nodes", "core hours to load")
    return [
        table(("computed", *machines), rows),
        feeding,
        table(header, [(name, *show_tasks(own)) for name, own in kinds.items()]),
    ]


def show_hours(hours: float) -> str:
    """Return hours, or days from two days on."""
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:,.0f} days"


def show_tasks(own: Tasks) -> tuple[str, ...]:
    """Return the cells of a row."""
    gigabytes = (own.disk, own.memory, own.traffic)
    return (*(f"{value / 1e9:,.1f}" for value in gigabytes), f"{own.switching:,.0f}")


if __name__ == "__main__":
    typer.run(main)
