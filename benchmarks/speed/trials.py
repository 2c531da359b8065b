"""Several trials trained in one pass over the data, against the same trials one after the other.

python -m benchmarks.speed.trials [--backbone NAME_OR_FOLDER] [--trials 4] [--sentences 200] [--repeats 5]

`configs/ner.cfg` over Wikigold, one epoch with its evaluations, trials that differ in their learning rate. Each repeat
trains them in one pass and then each alone, through the same loop, and divides the times.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import spacy
import typer
from spacy.tokens import DocBin
from thinc.api import Config

from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.training.trials import train_trials

from ..lib.pipelines import MINILM, read_corpus, spread
from ..lib.training import PROMPT_RATE, one_epoch_config


def main(backbone: str = MINILM, trials: int = 4, sentences: int = 200, repeats: int = 5) -> None:
    """Print one row per placement of the prompts."""
    held = get_backbone(BackboneSource(backbone))  # as long as this lives, nothing is loaded again
    variants = {f"trial_{number}": {PROMPT_RATE: 0.03 / (number + 1)} for number in range(trials)}
    print(f"{'prompts in':>12} {f'{trials} in one pass / {trials} alone':>28}")
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus.spacy"
        docs = list(read_corpus(None, spacy.blank("en").vocab))
        DocBin(docs=docs[:sentences]).to_disk(corpus)
        for where, layers in (("top half", list(range(held.n_layers // 2, held.n_layers))), ("all layers", None)):
            config = one_epoch_config(corpus, backbone, layers)
            ratios = []
            for _ in range(repeats + 1):
                together = seconds(config, variants, folder)
                alone = [seconds(config, {name: changes}, folder) for name, changes in variants.items()]
                ratios.append(together / sum(alone))
            print(f"{where:>12} {spread(ratios[1:]):>28}", flush=True)


def seconds(config: Config, variants: Mapping[str, Mapping[str, Any]], folder: str) -> float:
    """Return how long the training loop of some trials takes, as it reports itself."""
    clock: list[float] = []
    train_trials(config, variants, Path(folder) / "out", report=lambda *_: clock.append(time.perf_counter()))
    return clock[-1] - clock[0]


if __name__ == "__main__":
    typer.run(main)
