"""Fine-tuning with the scalar mix, word shape and averages of adapters: the honest mark for their accuracy.

python -m benchmarks.accuracy.fine_tuning CONFIG OUTPUT TRAIN.spacy DEV.spacy TEST.spacy [--backbone NAME] [--rate 2e-4]
    [--epochs 5] [--sentences 0] [--evaluations 0] [--seed 0] [--plain] [--gpu-id -1]

CONFIG is one of ours, with a component `ptuning_transformer`. Its prompt goes, every weight of the backbone but the
pooler trains instead, by torch's AdamW in its quickest form at `--rate` with the config's schedule, decay 0.01 and
gradients clipped at 1, over weights in float32, under bfloat16 autocast where that is faster; scalar mix, word shape
embedding and heads train as they are, at `HEAD_RATE`; averages of the steps are scored, those of the backbone's weights
too, if the config has `use_averages`. `--plain` leaves out mix, word shape and averages, which is what fine-tuning
commonly is. Dev is evaluated as often as the config says, or about `--evaluations` times; the best state there is
scored on test. OUTPUT/result.json gets scores, parameters and the curve.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import typer
from spacy.training.initialize import init_nlp
from spacy.util import load_config
from thinc.api import Config, fix_random_seed

from spacy_ptv2.backbones.registry import own_backbones
from spacy_ptv2.comparison.full_fine_tuning import FullFineTuning
from spacy_ptv2.comparison.methods import FULL, apply
from spacy_ptv2.training.loop import Loop
from spacy_ptv2.training.trainer import resolve_training

from ..lib.pipelines import MINILM
from ..lib.training import ENCODER, compute_on, count_parts, evaluated, score

HEAD_RATE, MIX_RATE = 1e-3, 1e-2


@own_backbones()
def main(
    config: Path,
    output: Path,
    train: Path,
    dev: Path,
    test: Path,
    backbone: str = MINILM,
    rate: float = 2e-4,
    epochs: int = 5,
    sentences: int = 0,
    evaluations: int = 0,
    seed: int = 0,
    plain: bool = False,
    gpu_id: int = -1,
) -> None:
    """Train once, print the curve, and write the result."""
    compute_on(gpu_id)
    changes = {
        **evaluated(evaluations, epochs),
        "paths.train": str(train),
        "paths.dev": str(dev),
        "system.seed": seed,
        "corpora.train.limit": sentences,
        "initialize.before_init.epochs": epochs,
        "initialize.before_init.min_steps": 0,
        f"{ENCODER}.backbone.name": backbone,
    }
    loop = FineTuning(fine_tuning_config(config, changes, plain=plain), rate)
    curve = []
    best, kept = -1.0, loop.state()
    start = perf_counter()
    for _ in loop.epochs():
        with loop.averaged():
            reached = score(loop.nlp, dev)
            seconds = perf_counter() - start  # evaluations included, as in the curve of `spacy train`
            curve.append({"seconds": round(seconds, 1), "score": reached})
            print(f"{seconds:.0f} s: {reached:.4f}", flush=True)
            if reached > best:
                best, kept = reached, loop.state()
    loop.restore(kept)
    result = {
        "dev": best,
        "test": score(loop.nlp, test),
        "parameters": {"backbone": sum(p.numel() for p in loop.weights), **count_parts(loop.nlp)},
        "curve": curve,
    }
    output.mkdir(parents=True, exist_ok=True)
    (output / "result.json").write_text(json.dumps(result), encoding="utf8")


def fine_tuning_config(path: Path, changes: dict[str, Any], *, plain: bool) -> Config:
    """Return a config of ours without a prompt, in float32. plain (bool): And without mix, word shape and averages."""
    # A word shape embedding at rate 0 is without effect.
    rates = {"head": HEAD_RATE, "word_shape": 0.0 if plain else HEAD_RATE, "scalar_mix": MIX_RATE}
    overrides = {
        **changes,
        f"{ENCODER}.adapter.scalar_mix": not plain,
        f"{ENCODER}.adapter.word_shape": True,
        **{f"training.optimizer.learn_rates.{part}": value for part, value in rates.items()},
    }
    if plain:
        overrides["training.optimizer.use_averages"] = False
    return apply(FULL, load_config(path, overrides=overrides, interpolate=False))


class FineTuning:
    """A pipeline of ours in which the backbone itself trains. config (Config): See `fine_tuning_config`."""

    def __init__(self, config: Config, rate: float) -> None:
        fix_random_seed(config["system"]["seed"])
        self.nlp = init_nlp(config, use_gpu=-1)
        plan = resolve_training(self.nlp)
        self._eval_frequency, self._n_steps = plan["eval_frequency"], plan["max_steps"]
        self._trainer = FullFineTuning(self.nlp, {**plan, "max_epochs": 0, "max_steps": 0}, rate)
        self.weights = list(self._trainer.weights.values())
        self.averaged = self._trainer.averaged
        self.losses: list[float] = []  # of each step

    def epochs(self) -> Iterator[None]:
        """Train, and stop after each epoch."""
        loop = Loop([self._trainer])
        for _ in loop.steps():
            losses = self._trainer.state.take_losses()
            self.losses.append(sum(loss for name, loss in losses.items() if name != "transformer"))
            if loop.state.n_steps % self._eval_frequency == 0:
                yield
            if loop.state.n_steps == self._n_steps:
                return

    def state(self) -> tuple[list[torch.Tensor], bytes]:
        """Return a copy of all that trains."""
        return [parameter.detach().clone() for parameter in self.weights], self.nlp.to_bytes()

    def restore(self, state: tuple[list[torch.Tensor], bytes]) -> None:
        """Put back what `state` gave."""
        weights, pipeline = state
        with torch.no_grad():
            for parameter, kept in zip(self.weights, weights, strict=True):
                parameter.copy_(kept)
        self.nlp.from_bytes(pipeline)


if __name__ == "__main__":
    typer.run(main)
