"""Train the fine-tuning baseline at several learning rates and keep the best by dev F1.

python project/scripts/finetune.py CONFIG TRAIN DEV OUTPUT --backbone NAME --rates R[,R...] [--seed 0] [--gpu-id -1]

It needs spacy-transformers, which the environment of `make install-spacy-transformers` has. Writes OUTPUT/rate-R/ for
each rate (pipeline and curve.jsonl) and copies the best to OUTPUT/model-best, with its curve.
"""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import typer
from spacy.cli.train import train
from wasabi import msg

from spacy_ptv2 import BackboneSource, find_backbone


def main(
    config: Path,
    train_path: Path,
    dev_path: Path,
    output: Path,
    backbone: str = typer.Option(..., help="Hub id, package or folder, as in the workflow that trains the adapter"),
    rates: str = typer.Option("0.0001,0.0002", help="Learning rates to try, separated by commas"),
    seed: int = 0,
    gpu_id: int = -1,
) -> None:
    """Train once per learning rate; the best dev F1 wins."""
    if find_spec("spacy_transformers") is None:
        command = ".venv-spacy-transformers/bin/python -m spacy project run ..."
        msg.fail(f"Fine-tuning needs spacy-transformers: `make install-spacy-transformers`, then `{command}`", exits=1)
    folder = find_backbone(BackboneSource(backbone))
    best: tuple[float, Path] | None = None
    for rate in rates.split(","):
        run = output / f"rate-{rate}"
        curve = run / "curve.jsonl"
        overrides = {
            "paths.train": str(train_path),
            "paths.dev": str(dev_path),
            "paths.backbone": str(folder),
            "paths.curve": str(curve),
            "system.seed": seed,
            "training.optimizer.learn_rate.initial_rate": float(rate),
        }
        train(config, run, use_gpu=gpu_id, overrides=overrides)
        score = max(json.loads(line)["score"] for line in curve.read_text().splitlines())
        msg.info(f"learning rate {rate}: dev F1 {score:.4f}")
        if best is None or score > best[0]:
            best = (score, run)
    if best is None:
        msg.fail("No learning rate given. Expected --rates R[,R...]", exits=1)
    shutil.rmtree(output / "model-best", ignore_errors=True)
    shutil.copytree(best[1] / "model-best", output / "model-best")
    shutil.copy(best[1] / "curve.jsonl", output / "curve.jsonl")
    msg.good(f"Best: {best[1].name}, dev F1 {best[0]:.4f}")


if __name__ == "__main__":
    typer.run(main)
