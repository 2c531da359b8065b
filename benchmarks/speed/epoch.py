"""Wall time of an epoch of `spacy train`: deep prompts + LoRA as shipped against fine-tuning with the same head.

python -m benchmarks.speed.epoch [--backbone NAME_OR_FOLDER] [--corpus FILE.spacy] [--sentences 0]
    [--repeats 5] [--profile]

Each run is a process of `spacy train` with a shipped config for one epoch, in turn; a ratio is that of two neighbours.
The clock (`lib/clock.py`) runs from the second step of the epoch to its last, so that no evaluation, no loading and no
saving is in it; the first step of each process warms up. `--profile` makes one more run of each and prints the share
of that time in the backbone's forward pass and in the backward pass, measured around the two calls.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import typer
from thinc.api import Config

from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource

from ..lib.pipelines import MINILM, spread, top_third
from ..lib.results import record, table
from ..lib.training import CLOCK, finetune_config, prompt_config, save_sentences, top_third_changes, write_clocked_epoch

FINETUNING = "fine-tuning"


def main(
    backbone: str = MINILM,
    corpus: Path | None = None,
    sentences: int = 0,
    repeats: int = 5,
    profile: bool = False,
    results: Path | None = None,
) -> None:
    """Print one row per way to train, and with `--profile` another table, and write both to the results."""
    n_layers = get_backbone(BackboneSource(backbone)).n_layers
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train = save_sentences(corpus, sentences, folder)
        configs = {
            FINETUNING: finetune_config(train, backbone),
            "ours as shipped": prompt_config(train, backbone),
            "ours in the top third": prompt_config(train, backbone, top_third_changes(top_third(n_layers))),
        }
        rounds = [{what: run(config, folder)["all"] for what, config in configs.items()} for _ in range(repeats)]
        ratios = {what: [times[FINETUNING] / times[what] for times in rounds] for what in configs if what != FINETUNING}
        text = table(("what trains", "times as fast as fine-tuning"), [(what, spread(r)) for what, r in ratios.items()])
        if profile:
            shares = [(what, *share(run(config, folder, profile=True))) for what, config in configs.items()]
            text += "\n\n" + table(("share of the time", "forward", "backward", "both"), shares)
    print(text)
    record(f"Epoch of spacy train, {Path(backbone).name}", text, results)


def run(config: Config, folder: Path, *, profile: bool = False) -> Mapping[str, float]:
    """Train for an epoch in a process of its own. RETURNS: What the clock wrote."""
    path, times = write_clocked_epoch(config, folder, profile=profile)
    command = [sys.executable, "-m", "spacy", "train", path, "--output", folder / "output", "--code", CLOCK]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode or not times.exists():
        raise SystemExit(f"spacy train failed, or the corpus makes fewer than 3 batches:\n{done.stdout}\n{done.stderr}")
    return dict(json.loads(times.read_text(encoding="utf8")))


def share(times: Mapping[str, float]) -> tuple[str, str, str]:
    """Return the share of the two passes in the time of the training loop, as percentages."""
    forward, backward = (times[name] / times["all"] for name in ("forward", "backward"))
    return f"{forward:.1%}", f"{backward:.1%}", f"{forward + backward:.1%}"


if __name__ == "__main__":
    typer.run(main)
