"""Several variants of one config trained in one pass over the data: prompt lengths, learning rates, seeds.

In: a config, and for each trial what it changes. Out: a folder for each with pipelines and learning curve, as
`spacy train` writes them. Each trial is a pipeline with an optimizer of its own; what they share is the batches and,
through `begin_update_ahead` and `read_ahead`, the tokenisation and the backbone's common layers.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import srsly
import torch
from spacy.language import Language
from spacy.schemas import ConfigSchemaTraining
from spacy.scorer import Scorer
from spacy.tokens import Doc
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import create_before_to_disk_callback, create_train_batches, subdivide_batch, update_meta
from spacy.util import registry, resolve_dot_names
from thinc.api import Config, Model, fix_random_seed

from ..bridge.joint_reading import Request, begin_update_ahead, joint_layers, read_ahead, reserve_seeds
from ..errors import Errors, PTuningError
from ..pipeline.batching import MAX_BUFFERED_TOKENS, batch_by_tokens
from ..pipeline.shared_backbone import names_of_shared_backbones
from .loggers import curve_point

# What decides which batches come when: the same for all trials.
SHARED_SETTINGS = (
    "corpora",
    "paths.train",
    "paths.dev",
    "initialize.before_init",
    "training.accumulate_gradient",
    "training.batcher",
    "training.dev_corpus",
    "training.eval_frequency",
    "training.max_epochs",
    "training.max_steps",
    "training.patience",
    "training.train_corpus",
)
MAX_NAME = 200  # characters; file systems take 255 bytes
Report = Callable[["Trial", Mapping[str, Any]], None]


@dataclass
class Trial:
    """One variant in training.

    name (str), changes (Mapping[str, Any]): What it is. nlp (Language), settings (dict): Its pipeline and its resolved
    [training] block. folder (Path): Where it is saved. results (list[tuple[float, int]]): Score and step of each
    evaluation. losses (dict[str, float]): Since the last one. random: State of the numbers that heads and layers draw.
    """

    name: str
    changes: Mapping[str, Any]
    nlp: Language
    settings: dict[str, Any]
    folder: Path
    results: list[tuple[float, int]] = field(default_factory=list)
    losses: dict[str, float] = field(default_factory=dict)
    random: tuple[Any, torch.Tensor] = field(default_factory=lambda: _random_state())

    @property
    def best(self) -> tuple[float, int]:
        """The best score, and the first step that reached it."""
        score, negative_step = max((score, -step) for score, step in self.results)
        return score, -negative_step

    @property
    def trained(self) -> list[tuple[str, Any]]:
        """Its components that train."""
        left_out = {*self.settings["frozen_components"], *names_of_shared_backbones(self.nlp)}
        return [
            (name, pipe)
            for name, pipe in self.nlp.pipeline
            if name not in left_out and getattr(pipe, "is_trainable", False)
        ]

    def layers(self, *, is_train: bool) -> list[Model[Any, Any]]:
        """Return its layers with a prompt, in training without those of frozen components."""
        pipes = self.trained if is_train else self.nlp.pipeline
        return joint_layers(getattr(pipe, "model", None) for _, pipe in pipes)

    def reserve_seeds(self) -> None:
        """Draw what decides on dropout in the next training pass of its layers."""
        with self._own_numbers():
            reserve_seeds(self.layers(is_train=True))

    def update(self, examples: Sequence[Example], dropout: float) -> None:
        """Learn from a batch, without a step."""
        with self._own_numbers():
            for _, pipe in self.trained:
                pipe.update(examples, drop=dropout, sgd=None, losses=self.losses)

    def step(self) -> None:
        """Let the optimizer step."""
        for _, pipe in self.trained:
            pipe.finish_update(self.settings["optimizer"])
        self.settings["optimizer"].step_schedules()

    @contextmanager
    def _own_numbers(self) -> Iterator[None]:
        """Let numpy and torch draw as if this trial were alone."""
        others = _random_state()
        _set_random_state(self.random)
        try:
            yield
        finally:
            self.random = _random_state()
            _set_random_state(others)

    def averaged(self) -> AbstractContextManager[None]:
        """Return a context with the optimizer's averages as weights, if it keeps any."""
        return self.nlp.use_params(self.settings["optimizer"].averages)

    def annotate(self, docs: Iterable[Doc]) -> Iterator[Doc]:
        """Annotate Docs, in place."""
        return self.nlp.pipe(docs, disable=names_of_shared_backbones(self.nlp))

    def score(self, examples: Sequence[Example]) -> tuple[float, dict[str, Any]]:
        """Return the main score, and all scores, of annotated examples."""
        scores = {key: value for key, value in Scorer(nlp=self.nlp).score(examples).items() if value is not None}
        weights = {key: weight for key, weight in self.settings["score_weights"].items() if weight}
        return sum(weight * scores.get(key, 0.0) for key, weight in weights.items()), scores

    def save(self, info: Mapping[str, Any]) -> None:
        """Write model-last, model-best if it is that, and the learning curve."""
        update_meta(self.settings, self.nlp, dict(info))
        last, best = self.folder / "model-last", self.folder / "model-best"
        before_to_disk = create_before_to_disk_callback(self.settings["before_to_disk"])
        with self.averaged():
            before_to_disk(self.nlp).to_disk(last)
        if self.best[1] == info["step"]:
            shutil.rmtree(best, ignore_errors=True)
            shutil.copytree(last, best)
        with (self.folder / "curve.jsonl").open("a", encoding="utf8") as stream:
            stream.write(srsly.json_dumps(curve_point(dict(info))) + "\n")


def train_trials(
    config: Config, variants: Mapping[str, Mapping[str, Any]], output: Path, *, use_gpu: int = -1, report: Report
) -> list[Trial]:
    """Train variants of a config in one pass over the data.

    config (Config): A training config, not interpolated. variants (Mapping): For each trial's name its settings, by
    their names with dots. output (Path): Gets a folder per trial and `trials.json`, the best first.
    report (Callable): Called with a trial and what `spacy train` logs, after each of its evaluations.
    RETURNS (list[Trial]): The best first. RAISES (PTuningError): P721-P723 for what trials cannot be.
    """
    check_variants(variants)
    trials = [_start(config, name, changes, output, use_gpu) for name, changes in variants.items()]
    leader = trials[0]
    plan = leader.settings
    corpora = resolve_dot_names(leader.nlp.config.interpolate(), [plan["train_corpus"], plan["dev_corpus"]])
    fix_random_seed(config.interpolate()["training"]["seed"] or 0)
    batches = create_train_batches(leader.nlp, corpora[0], plan["batcher"], plan["max_epochs"])
    references = list(corpora[1](leader.nlp))
    start, words = perf_counter(), 0
    for step, (epoch, batch) in enumerate(batches):
        for part in subdivide_batch(batch, plan["accumulate_gradient"]):  # type: ignore[no-untyped-call]
            _update(trials, part, {"step": step, "epoch": epoch})
        for trial in trials:
            trial.step()
        words += sum(len(example) for example in batch)
        if step % plan["eval_frequency"] == 0:
            progress = {"step": step, "epoch": epoch, "words": words, "seconds": int(perf_counter() - start)}
            for trial, (score, scores) in zip(trials, _evaluate(trials, references), strict=True):
                trial.results.append((score, step))
                info = {**progress, "score": score, "other_scores": scores, "losses": trial.losses}
                trial.save(info)
                report(trial, info)
                trial.losses = {}
        if _is_over(trials, step):
            break
    trials.sort(key=lambda trial: trial.best, reverse=True)
    srsly.write_json(output / "trials.json", [summary(trial) for trial in trials])
    return trials


def check_variants(variants: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse trials that cannot share a pass over the data.

    RAISES (PTuningError): P721, P722.
    """
    if not isinstance(variants, dict) or not variants or not all(isinstance(v, dict) for v in variants.values()):
        raise PTuningError(Errors.P721.format(got=variants))
    for name, changes in variants.items():
        if not name.isprintable() or len(name) > MAX_NAME or Path(name).name != name or name in (".", ".."):
            raise PTuningError(Errors.P722.format(name=name, problem="it becomes a folder and needs a plain name"))
        for key in changes:
            if any(key == shared or key.startswith(f"{shared}.") for shared in SHARED_SETTINGS):
                raise PTuningError(Errors.P722.format(name=name, problem=f"{key} must be the same for all trials"))


def summary(trial: Trial) -> dict[str, Any]:
    """Return what `trials.json` says of a trial."""
    score, step = trial.best
    return {"name": trial.name, "score": score, "step": step, "settings": dict(trial.changes)}


def _start(config: Config, name: str, changes: Mapping[str, Any], output: Path, use_gpu: int) -> Trial:
    own = Config().from_str(config.to_str(), interpolate=False, overrides=dict(changes))
    nlp = init_nlp(own, use_gpu=use_gpu)
    settings = registry.resolve(nlp.config.interpolate()["training"], schema=ConfigSchemaTraining)
    if settings["annotating_components"]:
        raise PTuningError(Errors.P723.format(got=", ".join(settings["annotating_components"])))
    folder = output / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "curve.jsonl").write_text("", encoding="utf8")
    fix_random_seed(settings["seed"] or 0)  # as spacy train does between its start and its first step
    return Trial(name, changes, nlp, settings, folder)


def _random_state() -> tuple[Any, torch.Tensor]:
    return np.random.get_state(), torch.get_rng_state()


def _set_random_state(state: tuple[Any, torch.Tensor]) -> None:
    for_numpy, for_torch = state
    np.random.set_state(for_numpy)
    torch.set_rng_state(for_torch)


def _update(trials: Sequence[Trial], batch: Iterable[Example], progress: dict[str, int]) -> None:
    examples = [Example(example.predicted.copy(), example.reference) for example in batch]
    docs = [example.predicted for example in examples]
    for trial in trials:
        trial.reserve_seeds()
    steps = begin_update_ahead([Request(layer, docs) for trial in trials for layer in trial.layers(is_train=True)])
    for trial in trials:
        if trial.settings["before_update"]:
            trial.settings["before_update"](trial.nlp, progress)
        dropout = trial.settings["dropout"]
        trial.update(examples, dropout if isinstance(dropout, float) else next(dropout))
    for step in steps:
        step.finish()


def _evaluate(trials: Sequence[Trial], references: Sequence[Example]) -> list[tuple[float, dict[str, Any]]]:
    layers = [trial.layers(is_train=False) for trial in trials]
    max_tokens = MAX_BUFFERED_TOKENS // max(1, sum(map(len, layers)))
    annotated: list[list[Doc]] = [[] for _ in trials]
    with ExitStack() as stack:
        for trial in trials:
            stack.enter_context(trial.averaged())
        for docs in batch_by_tokens((example.predicted for example in references), 256, max_tokens):
            copies = [[doc.copy() for doc in docs] for _ in trials]
            pairs = zip(layers, copies, strict=True)
            read_ahead([Request(layer, docs, own) for of_trial, own in pairs for layer in of_trial])
            for trial, own, done in zip(trials, copies, annotated, strict=True):
                done.extend(trial.annotate(own))
    scored = [[Example(doc, e.reference) for doc, e in zip(docs, references, strict=True)] for docs in annotated]
    return [trial.score(examples) for trial, examples in zip(trials, scored, strict=True)]


def _is_over(trials: Sequence[Trial], step: int) -> bool:
    plan = trials[0].settings
    exhausted = plan["patience"] and all(step - trial.best[1] >= plan["patience"] for trial in trials)
    return bool(exhausted or (plan["max_steps"] and step >= plan["max_steps"]))
