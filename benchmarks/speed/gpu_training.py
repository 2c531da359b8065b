"""Training steps on a GPU: speed and peak memory of deep prompts + LoRA beside fine-tuning, under spaCy.

python -m benchmarks.speed.gpu_training [--backbone NAME_OR_FOLDER] [--corpus FILE.spacy] [--sentences 200]
    [--repeats 5] [--words 640,160] [--gpu-id 0]

For each size of a batch, in padded words (640 is that of configs/finetune_ner.cfg, 160 that of configs/ner.cfg): all
candidates take a batch in turn, then the next, and wait for the GPU after each; a ratio is that of the times for all
batches of one round. The first round warms up. Peak: what torch had allocated at most during some steps on the batch
of the longest sentences, beyond what the loaded, idle pipelines take; the optimizer's state is in it. Fine-tuning is
that of spacy-transformers, as spaCy's own configs have it on a GPU, with mixed precision, and without.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import typer

from spacy_ptv2.backbones.precision import is_fast_in_bfloat16
from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource

from ..lib.pipelines import MINILM, top_third
from ..lib.results import record, table
from ..lib.training import (
    ENCODER,
    FP32,
    WARM_CACHE,
    SpacyLoop,
    compute_on,
    finetune_config,
    prompt_config,
    save_sentences,
    top_third_changes,
)
from .training_step import SHIPPED, Candidate, measure, ratio

HEADER = ("what trains", "precision", "words a batch", "speed to fine-tuning's", "peak MB", "share")
BATCH_WORDS = "training.batcher.size"
STEPS = 3  # for the peak of memory


def main(
    backbone: str = MINILM,
    corpus: Path | None = None,
    sentences: int = 200,
    repeats: int = 5,
    words: str = "640,160",
    gpu_id: int = 0,
    results: Path | None = None,
) -> None:
    """Print one row per candidate and size of a batch, and write them to the results."""
    compute_on(gpu_id)
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        train = save_sentences(corpus, sentences, Path(folder))
        for size in map(int, words.split(",")):
            loops = dict(spacy_loops(train, backbone, size, gpu_id))
            lines += rows(loops, size, repeats)
    text = table(HEADER, lines)
    print(text)
    record(f"Training on a GPU, {Path(backbone).name}", text, results)


def spacy_loops(corpus: Path, backbone: str, size: int, gpu_id: int) -> Iterator[tuple[tuple[str, str], SpacyLoop]]:
    """Yield for each way to train, and its precision, its loop; fine-tuning in mixed precision first."""
    changes: dict[str, Any] = {BATCH_WORDS: size}
    for precision, mixed in (("mixed", True), ("fp32", False)):
        config = finetune_config(corpus, backbone, {**changes, f"{ENCODER}.mixed_precision": mixed})
        yield ("fine-tuning", precision), SpacyLoop(config, gpu_id)
    device = torch.device("cuda", gpu_id)
    shipped = "bf16" if is_fast_in_bfloat16(device) else "fp32"
    top = top_third_changes(top_third(get_backbone(BackboneSource(backbone), device=device).n_layers))
    ways = {
        (f"{SHIPPED} but in float32", "fp32"): FP32,
        (SHIPPED, shipped): {},
        (f"{SHIPPED}, top third", shipped): top,
        (f"{SHIPPED}, top third, warm cache", shipped): {**top, **WARM_CACHE},
    }
    for (what, precision), own in ways.items():
        yield (f"ours, {what}", precision), SpacyLoop(prompt_config(corpus, backbone, {**changes, **own}), gpu_id)


def rows(loops: Mapping[tuple[str, str], SpacyLoop], size: int, repeats: int) -> list[tuple[str, ...]]:
    """Return the rows of the table for batches of a size."""
    peaks = {way: peak_megabytes(loop) for way, loop in loops.items()}
    candidates = [Candidate("spaCy", who, "", precision, _waiting(loop)) for (who, precision), loop in loops.items()]
    times = measure(candidates, len(next(iter(loops.values())).batches), repeats)
    first = next(iter(loops))
    return [
        (*way, str(size), ratio(times[0], own), f"{peaks[way]:.0f}", f"{peaks[way] / peaks[first]:.2f}")
        for way, own in zip(loops, times.values(), strict=True)
    ]


def peak_megabytes(loop: SpacyLoop) -> float:
    """Return by how much some steps on the batch of the longest sentences raise what torch has allocated at most."""
    longest = max(range(len(loop.batches)), key=lambda number: max(len(example) for example in loop.batches[number]))
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    for _ in range(STEPS):
        loop.step(longest)
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 1e6


def _waiting(loop: SpacyLoop) -> Any:
    def step(batch: int) -> None:
        loop.step(batch)
        torch.cuda.synchronize()

    return step


if __name__ == "__main__":
    typer.run(main)
