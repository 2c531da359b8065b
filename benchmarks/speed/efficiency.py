"""Useful operations per second of annotation and of training steps, against the peak of plain matrix products.

python -m benchmarks.speed.efficiency [--backbone NAME_OR_FOLDER] [--corpus FILE.spacy] [--docs 600] [--long 2]
    [--sentences 120] [--repeats 7] [--rank 7]

The pipeline of configs/ner.cfg, untrained, on documents of a corpus (default: the sentences of Wikigold), on some of
5,000 words joined from them, and in training on batches of 640 padded words. Useful is what the bare backbone needs for
the pieces that were read, without padding (`benchmarks/lib/operations.py`); the time is that of the whole `nlp.pipe` or
step, as processor time. The peak is that of chains of plain products of the backbone's sizes in the same engine and
precision, once per round (`benchmarks/lib/peaks.py`). Candidates alternate within each round and the first round warms
up. The other tables are a profile of three more rounds (`benchmarks/lib/profiles.py`), with shares of their time.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import torch
import typer
from spacy.language import Language

from spacy_ptv2.backbones.backbone import Backbone
from spacy_ptv2.backbones.precision import is_fast_in_bfloat16
from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.engines.openvino_graph import has_openvino
from spacy_ptv2.options import EngineName

from ..lib.annotators import Text, annotate, cut_texts, ours, read_texts
from ..lib.operations import LayerSizes, ReadPieces, forward_operations, frozen_training_operations
from ..lib.peaks import build_chains, measure_peak, shapes_of
from ..lib.pipelines import MINILM, corpus_name, spread
from ..lib.profiles import PARTS, noting_pieces, seconds_by_part, timing_nodes
from ..lib.results import record, table
from ..lib.training import ENCODER, SpacyLoop, prompt_config, save_sentences

HEADER = ("work", "engine, precision", "G operations / s", "peak", "share of the peak", "padding")
GIGA = 1e9
PROFILED = 3  # rounds


@dataclass
class Work:
    """Something that is measured. what, how: As printed: the texts or training, the engine and its precision.

    run (Callable): Does it once. operations (Callable): Counts what is useful in the pieces of some windows.
    """

    what: str
    how: str
    run: Callable[[], object]
    operations: Callable[[Sequence[int]], int]
    read: ReadPieces = field(default_factory=lambda: ReadPieces([]))
    shares: list[float] = field(default_factory=list)
    speeds: list[float] = field(default_factory=list)

    def run_often(self) -> None:
        """Do it as often as it is profiled."""
        for _ in range(PROFILED):
            self.run()


def main(
    backbone: str = MINILM,
    corpus: Path | None = None,
    docs: int = 600,
    long: int = 2,
    long_words: int = 5000,
    sentences: int = 120,
    rank: int = 7,
    repeats: int = 7,
    results: Path | None = None,
) -> None:
    """Print and record a table of operations per second, and one of where the time goes.

    docs: How many of the corpus, 0 for all. long: How many long documents. sentences: To train on, 0 for no training.
    rank: Of LoRA.
    """
    held = {dtype: get_backbone(BackboneSource(backbone, dtype=dtype)) for dtype in ("float32", "bfloat16")}
    candidates = find_candidates(held["float32"].device)
    texts = read_texts(corpus, docs)
    kinds = {"corpus": texts, f"{long_words} words": cut_texts(texts, long * long_words, long_words)}
    sizes = LayerSizes.of(held["float32"])
    with timing_nodes() as nodes, tempfile.TemporaryDirectory() as folder:
        works = list(annotations(candidates, backbone, sizes, kinds, rank))
        if sentences:
            works += trainings(candidates, backbone, sizes, save_sentences(corpus, sentences, Path(folder)), rank)
        peaks = measure(works, candidates, held["float32"], repeats)
        profiles = [seconds_by_part(work.run_often, rank, nodes) for work in works]
    tables = [speed_table(works, peaks), *profile_tables(works, profiles)]
    text = "\n\n".join([described(rank, corpus, repeats), *tables])
    print(text)
    record(f"Efficiency: {Path(backbone).name}, rank {rank}, {corpus_name(corpus)}", text, results)


def find_candidates(device: torch.device) -> Mapping[str, tuple[EngineName, str]]:
    """Return the engine and the dtype of each candidate on this machine, by name."""
    shipped = "bfloat16" if is_fast_in_bfloat16(device) else "float32"
    engines: list[tuple[EngineName, str]] = [("torch", dtype) for dtype in dict.fromkeys(("float32", shipped))]
    if has_openvino():
        engines += [("openvino", shipped), ("openvino-int8", shipped)]
    return {f"{engine}, {dtype}": (engine, dtype) for engine, dtype in engines}


def annotations(
    candidates: Mapping[str, tuple[EngineName, str]],
    backbone: str,
    sizes: LayerSizes,
    kinds: Mapping[str, Sequence[Text]],
    rank: int,
) -> Iterator[Work]:
    """Yield the annotation of each kind of texts by each candidate."""
    for how, (engine, dtype) in candidates.items():
        nlp = ours(backbone, dtype=dtype, **{"runtime.engine": engine, "adapter.lora_rank": rank})
        for what, texts in kinds.items():
            if texts:
                yield Work(what, how, partial(annotate_texts, nlp, texts), partial(forward_operations, sizes))


def annotate_texts(nlp: Language, texts: Sequence[Text]) -> None:
    """Make Docs of texts and annotate them."""
    annotate(nlp, [text.make_doc(nlp) for text in texts])


def trainings(
    candidates: Mapping[str, tuple[EngineName, str]], backbone: str, sizes: LayerSizes, train: Path, rank: int
) -> list[Work]:
    """Return training steps over a corpus in each precision, which torch computes."""
    works = []
    for how, (engine, dtype) in candidates.items():
        if engine == "torch":
            mixed = {f"{ENCODER}.backbone.dtype": dtype, f"{ENCODER}.runtime.mixed_precision": False}
            loop = SpacyLoop(prompt_config(train, backbone, {**mixed, f"{ENCODER}.adapter.lora_rank": rank}))
            works.append(Work("training", how, partial(train_once, loop), partial(frozen_training_operations, sizes)))
    return works


def train_once(loop: SpacyLoop) -> None:
    """Learn from every batch once."""
    for batch in range(len(loop.batches)):
        loop.step(batch)


def measure(
    works: Sequence[Work], candidates: Mapping[str, tuple[EngineName, str]], backbone: Backbone, repeats: int
) -> Mapping[str, list[float]]:
    """Let every work run in turn, and the peaks. RETURNS: The peaks of each candidate, in operations per second."""
    shapes = shapes_of(backbone)
    chains = {how: build_chains(shapes, engine, getattr(torch, dtype)) for how, (engine, dtype) in candidates.items()}
    peaks: dict[str, list[float]] = {how: [] for how in chains}
    for work in works:  # the first round warms up
        with noting_pieces(work.read):
            work.run()
    for own in chains.values():
        measure_peak(own)
    for _ in range(repeats):
        for how, own in chains.items():
            peaks[how].append(measure_peak(own))
        for work in works:
            start = time.process_time()
            work.run()
            spent = time.process_time() - start
            work.speeds.append(work.operations(work.read.lengths) / spent)
            work.shares.append(work.speeds[-1] / peaks[work.how][-1])
    return peaks


def speed_table(works: Sequence[Work], peaks: Mapping[str, Sequence[float]]) -> str:
    """Return a row for each work: what it reached, the peak, and the share that it is of it."""
    rows = []
    for work in works:
        speed, peak = (f"{median(own) / GIGA:.0f}" for own in (work.speeds, peaks[work.how]))
        rows.append((work.what, work.how, speed, peak, spread(work.shares), percent(work.read.padding)))
    return str(table(HEADER, rows))


def profile_tables(works: Sequence[Work], profiles: Sequence[Mapping[str, float]]) -> list[str]:
    """Return a table for each kind of work, with the share of each part in the time of each candidate."""
    tables = []
    for what in dict.fromkeys(work.what for work in works):
        own = [(work.how, profile) for work, profile in zip(works, profiles, strict=True) if work.what == what]
        rows = [(part, *(percent(profile[part] / sum(profile.values())) for _, profile in own)) for part in PARTS]
        tables.append(table((f"{what}: share of the time", *(how for how, _ in own)), rows))
    return tables


def percent(share: float) -> str:
    """Return a share as a percentage."""
    return f"{share:.1%}"


def described(rank: int, corpus: Path | None, repeats: int) -> str:
    """Return what the tables are of."""
    trained = f"deep prompts of 8, LoRA of rank {rank}, scalar mix and word shape, with untrained numbers"
    return f"{trained}; {corpus_name(corpus)}, {repeats} rounds"


if __name__ == "__main__":
    typer.run(main)
