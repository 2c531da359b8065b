"""Trains and scores one run of a comparison: ``python -m spacy_ptv2.comparison.worker FOLDER``.

In: a folder with `config.cfg` and `job.json`. Out: `model-best` and `outcome.json` there. Full fine-tuning changes the
backbone that pipelines share, so each run loads its own.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from spacy.cli._util import import_code, setup_gpu
from spacy.language import Language
from spacy.training.initialize import init_nlp
from spacy.util import load_config, registry
from thinc.api import fix_random_seed, set_gpu_allocator

from ..backbones.registry import own_backbones
from ..serialization.models import trained_parameters
from ..training.loop import Loop
from ..training.trainer import Scores, Trainer, main_score, resolve_training
from .full_fine_tuning import WEIGHTS, FullFineTuning
from .methods import METHODS
from .outcome import CONFIG, Job, Outcome


@own_backbones()
def run(folder: Path) -> Outcome:
    """Train the job of a folder, and write what it reached."""
    job = Job.from_disk(folder)
    import_code(job.code)
    setup_gpu(job.gpu_id)
    config = load_config(folder / CONFIG, interpolate=False)
    if job.gpu_id >= 0 and config["training"]["gpu_allocator"]:
        set_gpu_allocator(config["training"]["gpu_allocator"])
    nlp = init_nlp(config, use_gpu=job.gpu_id)
    fix_random_seed(job.seed)
    settings = resolve_training(nlp)
    trainer = Trainer(nlp, settings) if job.rate is None else FullFineTuning(nlp, settings, job.rate)
    outcome = _train(trainer, job, folder)
    outcome.to_disk(folder)
    return outcome


def _train(trainer: Trainer, job: Job, folder: Path) -> Outcome:
    loop, curve = Loop([trainer]), []
    best: dict[str, Any] = {}
    for (report,) in loop.run():
        if report.is_best is None:
            continue
        step, seconds, score = report.info["step"], loop.state.seconds, report.info["score"]
        curve.append((step, seconds, score))
        losses = ", ".join(f"{name} {loss:.2f}" for name, loss in report.info["losses"].items())
        where = f"step {step} of {loop.plan['max_steps']}, {seconds:.0f} s"
        print(f"{where}: score {score:.4f}, losses {losses}", flush=True)
        if report.is_best:
            trainer.save(folder, is_best=True)
            best = report.info["other_scores"]
    n_bytes = sum(file.stat().st_size for file in trainer.best_of(folder).rglob("*") if file.is_file())
    trainer.restore_best(folder)
    scored = [score_on(trainer, path) for path in job.tests]
    if METHODS[job.method].is_full:
        (trainer.best_of(folder) / WEIGHTS).unlink()  # as large as the backbone itself, and nothing loads it
    dev, at = trainer.state.best
    return Outcome(
        dev=dev,
        step=at,
        tests=[score for score, _ in scored],
        scores=scored[0][1] if scored else best,
        **_counts(trainer.nlp, job.method),
        n_bytes=n_bytes,
        n_steps=loop.state.n_steps,
        words=loop.state.words,
        seconds=loop.state.seconds,
        curve=curve,
    )


def score_on(trainer: Trainer, path: str) -> Scores:
    """Score a pipeline on a corpus that the reader of its dev corpus reads. RETURNS: Main score, and all scores."""
    config = trainer.nlp.config.interpolate()
    name = trainer.settings["dev_corpus"].partition(".")[2]
    block = {**config["corpora"][name], "path": path}
    corpus = registry.resolve({"corpus": block})["corpus"]
    scores = trainer.nlp.evaluate(list(corpus(trainer.nlp)))
    return main_score(scores, trainer.settings["score_weights"]), scores


def _counts(nlp: Language, method: str) -> dict[str, Any]:
    models = [pipe.model for _, pipe in nlp.pipeline if getattr(pipe, "model", None) is not None]  # type: ignore[attr-defined]
    counts = trained_parameters(models)
    of_backbone = counts.pop("backbone", 0)
    if METHODS[method].is_full:
        counts["backbone"] = of_backbone
    return {"parameters": {part: count for part, count in counts.items() if count}, "of_backbone": of_backbone}


if __name__ == "__main__":
    run(Path(sys.argv[1]))
