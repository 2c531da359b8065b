"""What annotation costs against the sizes of prompt, LoRA, documents and batches: time, and memory at its peak.

python -m benchmarks.speed.curves [--backbone NAME_OR_FOLDER] [--corpus FILE.spacy] [--words 20000] [--repeats 5]

Each curve changes one thing, relative to its first entry; the others stay as in configs/ner.cfg and the documents those
of the corpus, but a curve of prompt lengths has no LoRA and one of LoRA ranks no prompt. Every entry reads the same
words (document lengths: joined and cut from them, the last one shorter), whole `nlp.pipe` of configs/ner.cfg, entries
alternating within each repeat, the first round warming up. Memory is the peak of resident memory above that of the
loaded pipeline, in a fresh process for each entry (Linux).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import typer

from ..lib import memory
from ..lib.annotators import Text, annotate, cut_texts, ours, read_texts
from ..lib.pipelines import MINILM, corpus_name, seconds, spread
from ..lib.results import record, table

HEADER = ("what", "entry", "time", "peak memory", "MB")


@dataclass(frozen=True)
class Entry:
    """One point of a curve. what (str), name (str), settings: Of `ours`. words_per_doc (int): 0 as in the corpus."""

    what: str
    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    words_per_doc: int = 0


def main(
    backbone: str = MINILM,
    corpus: Path | None = None,
    words: int = 20_000,
    lengths: str = "0,8,16,64,128",
    ranks: str = "0,7,32",
    doc_words: str = "64,256,1024,5000,20000",
    batch_pieces: str = "512,1024,2048,4096,8192",
    repeats: int = 5,
    dtype: str = "float32",
    results: Path | None = None,
) -> None:
    """Print and record one row per entry of each curve."""
    fixed = {"backbone": backbone, "dtype": dtype}
    curves = [
        [
            Entry("prompt length", str(n), {**fixed, "adapter.prompt.length": n, "adapter.lora_rank": 0})
            for n in _numbers(lengths)
        ],
        [
            Entry("LoRA rank", str(n), {**fixed, "adapter.prompt.length": 0, "adapter.lora_rank": n})
            for n in _numbers(ranks)
        ],
        [Entry("words per document", str(n), fixed, n) for n in _numbers(doc_words)],
        [Entry("batch_pieces", str(n), {**fixed, "windows.batch_pieces": n}) for n in _numbers(batch_pieces)],
    ]
    (joined,) = cut_texts(read_texts(corpus), words, words)
    as_they_are = read_texts(corpus, n_words=words)
    rows = []
    for curve in curves:
        chosen = [cut_texts([joined], words, n) if (n := entry.words_per_doc) else as_they_are for entry in curve]
        rows += compare(curve, measure(curve, chosen, repeats), peaks(curve, chosen))
    text = table(HEADER, rows)
    print(text)
    record(f"Curves: {Path(backbone).name}, {dtype}, {corpus_name(corpus)}", text, results)


def measure(curve: Sequence[Entry], texts: Sequence[Sequence[Text]], repeats: int) -> list[list[float]]:
    """Return the seconds of each entry in each round but the first."""
    pipelines = [ours(**entry.settings) for entry in curve]
    times: list[list[float]] = [[] for _ in curve]
    for _ in range(repeats + 1):
        for nlp, own, chosen in zip(pipelines, times, texts, strict=True):
            own.append(seconds(partial(annotate, nlp, [text.make_doc(nlp) for text in chosen])))
    return [own[1:] for own in times]


def peaks(curve: Sequence[Entry], texts: Sequence[Sequence[Text]]) -> list[int]:
    """Return the bytes of each entry at their peak, above those of the idle pipeline."""
    pairs = zip(curve, texts, strict=True)
    return [memory.in_fresh_process(peak_bytes, entry.settings, chosen) for entry, chosen in pairs]


def peak_bytes(settings: dict[str, Any], texts: Sequence[Text]) -> int:
    """Return how much resident memory a pipeline takes at most, beyond what it has after a first short Doc."""
    nlp = ours(**settings)
    annotate(nlp, [Text(["Warm"], [False], ["O"]).make_doc(nlp)])
    docs = [text.make_doc(nlp) for text in texts]
    return memory.peak_bytes(lambda: annotate(nlp, docs))


def compare(curve: Sequence[Entry], times: Sequence[Sequence[float]], memory: Sequence[int]) -> list[list[str]]:
    """Return a row per entry, relative to the first."""
    return [
        [
            entry.what,
            entry.name,
            spread([a / b for a, b in zip(own, times[0], strict=True)]),
            f"{peak / max(1, memory[0]):.2f}",
            f"{peak / 1e6:.0f}",
        ]
        for entry, own, peak in zip(curve, times, memory, strict=True)
    ]


def _numbers(listed: str) -> list[int]:
    return [int(number) for number in listed.split(",") if number]


if __name__ == "__main__":
    typer.run(main)
