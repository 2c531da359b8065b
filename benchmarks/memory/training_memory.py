"""Peak memory of training steps beyond the loaded, idle pipeline: deep prompts + LoRA against fine-tuning.

python -m benchmarks.memory.training_memory [--backbone NAME_OR_FOLDER] [--corpus FILE.spacy] [--sentences 200]
    [--repeats 3] [--place 0.5] [--steps 3]

Every figure is from a fresh process: a pipeline of the shipped config is initialised, what is free goes back to the
system, then come some steps on one batch of 640 padded words. Batches are sorted by the length of their sentences;
`--place` says which one it is, 0 for that of the longest. Peak: VmHWM of Linux, reset before the steps; what the
first step loads and what the optimizer keeps is in it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

import typer
from thinc.api import Config

from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource

from ..lib.memory import in_fresh_process, peak_bytes
from ..lib.pipelines import MINILM, spread, top_third
from ..lib.results import record, table
from ..lib.training import FP32, SpacyLoop, finetune_config, prompt_config, save_sentences, top_third_changes

FINETUNING = "fine-tuning"
CHECKPOINTING = {"components.transformer.model.runtime.gradient_checkpointing": True}


def main(
    backbone: str = MINILM,
    corpus: Path | None = None,
    sentences: int = 200,
    repeats: int = 3,
    place: float = 0.5,
    steps: int = 3,
    results: Path | None = None,
) -> None:
    """Print one row per way to train and write them to the results."""
    top = top_third_changes(top_third(get_backbone(BackboneSource(backbone)).n_layers))
    with tempfile.TemporaryDirectory() as folder:
        train = save_sentences(corpus, sentences, Path(folder))
        configs = {
            FINETUNING: finetune_config(train, backbone),
            "ours in fp32": prompt_config(train, backbone, FP32),
            "ours as shipped": prompt_config(train, backbone),
            "ours in the top third": prompt_config(train, backbone, top),
            "ours, checkpointing": prompt_config(train, backbone, CHECKPOINTING),
        }
        peaks: dict[str, list[float]] = {what: [] for what in configs}
        for _ in range(repeats):
            for what, config in configs.items():
                text = config.to_str(interpolate=False)
                peaks[what].append(in_fresh_process(peak_megabytes, text, place, steps))
    text = table(("what trains", "MB, median", "share of fine-tuning's"), rows(peaks))
    print(text)
    record(f"Training memory, {Path(backbone).name}", text, results)


def rows(peaks: dict[str, list[float]]) -> list[tuple[str, str, str]]:
    """Return the rows of the table."""
    shares = {what: [a / b for a, b in zip(own, peaks[FINETUNING], strict=True)] for what, own in peaks.items()}
    return [(what, f"{median(own):.0f}", spread(shares[what])) for what, own in peaks.items()]


def peak_megabytes(config: str, place: float, steps: int) -> float:
    """Return by how much steps on one batch raise the resident memory of this process at most."""
    loop = SpacyLoop(Config().from_str(config, interpolate=False))
    batch = min(int(place * len(loop.batches)), len(loop.batches) - 1)

    def run() -> None:
        for _ in range(steps):
            loop.step(batch)

    return peak_bytes(run) / 1e6


if __name__ == "__main__":
    typer.run(main)
