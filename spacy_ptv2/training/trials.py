"""Several variants of one config, trained in one pass over the data.

In: a config, and the settings that each trial changes. Out: a folder for each trial with pipelines and learning curve,
as `spacy train` writes them. Each trial is a pipeline with its own optimizer. They share the batches and, through
`begin_update_ahead` and `read_ahead`, the tokenisation and the backbone's common layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import srsly
from spacy.language import Language
from spacy.scorer import Scorer
from spacy.tokens import Doc
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import subdivide_batch
from thinc.api import Config, Model, fix_random_seed

from ..errors import Errors, PTuningError
from ..pipeline.batching import MAX_BUFFERED_TOKENS, batch_by_tokens
from ..pipeline.joint_reading import Request, begin_update_ahead, joint_layers, read_ahead, reserve_seeds
from ..pipeline.shared_backbone import names_of_shared_backbones
from .loggers import CURVE, curve_point
from .loop import Loop, Report
from .random_state import RandomState, random_numbers_kept
from .trainer import Scores, Trainer, main_score, resolve_training

# What decides which batches come when, and so must be the same for all trials.
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
MAX_NAME = 200  # characters; file systems allow 255 bytes
ReportTrial = Callable[["Trial", Mapping[str, Any]], bool | None]
ReportFailure = Callable[["Trial", PTuningError], None]


class Trial(Trainer):
    """One variant in training.

    name (str), changes (Mapping[str, Any]): Its name, and the settings that it changes.
    nlp (Language): Its pipeline, initialised. Its heads and layers then draw random numbers as if it trained alone.
    folder (Path): Where it is saved.
    failure (PTuningError | None): Why its optimizer gave up.
    """

    def __init__(self, name: str, changes: Mapping[str, Any], nlp: Language, folder: Path) -> None:
        super().__init__(nlp, resolve_training(nlp))
        self.name = name
        self.changes = changes
        self.folder = folder
        self.failure: PTuningError | None = None
        fix_random_seed(self.settings["seed"] or 0)  # as spacy train does between its start and its first step
        self.state.random = RandomState.capture()

    @property
    def best(self) -> tuple[float, int]:
        """The best score, and the first step that reached it."""
        return self.state.best

    @property
    def trained(self) -> list[tuple[str, Any]]:
        """The components that train, without `shared_backbone`, whose work the joint passes do."""
        left_out = names_of_shared_backbones(self.nlp)
        return [(name, pipe) for name, pipe in super().trained if name not in left_out]

    def layers(self, *, is_train: bool) -> list[Model[Any, Any]]:
        """Return its layers with an adapter; in training, without those of frozen components."""
        pipes = self.trained if is_train else self.nlp.pipeline
        return joint_layers(getattr(pipe, "model", None) for _, pipe in pipes)

    def reserve_seeds(self) -> None:
        """Draw the seeds of dropout for the next training pass of its layers."""
        with self._own_numbers():
            reserve_seeds(self.layers(is_train=True))

    def update_part(self, examples: Sequence[Example]) -> None:
        """Learn from a part of a batch, for which the forward pass of its layers has already run."""
        with self._own_numbers():
            for _, pipe in self.trained:
                pipe.update(examples, drop=self.settings["dropout"], sgd=None, losses=self.state.losses)

    def step(self) -> None:
        """See `Trainer.step`. Where the optimizer gives up, the other trials still take their step."""
        try:
            super().step()
        except PTuningError as error:
            self.failure = error

    @contextmanager
    def _own_numbers(self) -> Iterator[None]:
        """Let all random generators continue where this trial left them."""
        with random_numbers_kept():
            if self.state.random is not None:
                self.state.random.restore()
            try:
                yield
            finally:
                self.state.random = RandomState.capture()

    def annotate(self, docs: Iterable[Doc]) -> Iterator[Doc]:
        """Annotate Docs, in place."""
        return self.nlp.pipe(docs, disable=names_of_shared_backbones(self.nlp))

    def score(self, examples: Sequence[Example]) -> Scores:
        """Return the main score and all scores of annotated examples."""
        scores = {key: value for key, value in Scorer(nlp=self.nlp).score(examples).items() if value is not None}
        return main_score(scores, self.settings["score_weights"]), scores

    def keep(self, report: Report[Trial]) -> None:
        """Write model-last, model-best if this is the best, and a line of the learning curve."""
        self.describe(report.info)
        self.save(self.folder, is_best=bool(report.is_best))
        with (self.folder / CURVE).open("a", encoding="utf8") as stream:
            stream.write(srsly.json_dumps(curve_point(report.info)) + "\n")


class JointLoop(Loop[Trial]):
    """The loop over trials: their layers run in common passes over each batch, and over the dev corpus."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        super().__init__(trials)
        self._references: list[Example] | None = None  # of the dev corpus, once it is read

    def update(self, batch: Sequence[Example], progress: dict[str, int]) -> None:
        """See `Loop.update`."""
        for trial in self.trainers:
            trial.before_update(progress)
        for part in subdivide_batch(batch, self.plan["accumulate_gradient"]):  # type: ignore[no-untyped-call]
            examples = [Example(example.predicted.copy(), example.reference) for example in part]
            docs = [example.predicted for example in examples]
            for trial in self.trainers:
                trial.reserve_seeds()
            layers = [layer for trial in self.trainers for layer in trial.layers(is_train=True)]
            steps = begin_update_ahead([Request(layer, docs) for layer in layers])
            for trial in self.trainers:
                trial.update_part(examples)
            for step in steps:
                step.finish()

    def evaluate(self) -> list[Scores]:
        """See `Loop.evaluate`."""
        if self._references is None:
            leader = self.trainers[0]
            self._references = list(leader.dev_corpus(leader.nlp))
        annotated = self._annotate(self._references)
        return [
            trial.score([Example(doc, e.reference) for doc, e in zip(docs, self._references, strict=True)])
            for trial, docs in zip(self.trainers, annotated, strict=True)
        ]

    def leave(self, trial: Trial) -> None:
        """Let a trial train no further, and the others without it."""
        self.trainers.remove(trial)
        self.state.pipelines = [trainer.state for trainer in self.trainers]

    def _annotate(self, references: Sequence[Example]) -> list[list[Doc]]:
        """Return the annotated Docs of each trial."""
        layers = [trial.layers(is_train=False) for trial in self.trainers]
        max_tokens = MAX_BUFFERED_TOKENS // max(1, sum(map(len, layers)))
        annotated: list[list[Doc]] = [[] for _ in self.trainers]
        with ExitStack() as stack:
            for trial in self.trainers:
                stack.enter_context(trial.averaged())
            for docs in batch_by_tokens((example.predicted for example in references), 256, max_tokens):
                copies = [[doc.copy() for doc in docs] for _ in self.trainers]
                pairs = zip(layers, copies, strict=True)
                read_ahead([Request(layer, docs, own) for of_trial, own in pairs for layer in of_trial])
                for trial, own, done in zip(self.trainers, copies, annotated, strict=True):
                    done.extend(trial.annotate(own))
        return annotated


def train_trials(
    config: Config, variants: Mapping[str, Mapping[str, Any]], output: Path, *, use_gpu: int = -1, report: ReportTrial
) -> list[Trial]:
    """Train variants of a config in one pass over the data.

    config (Config): A training config, not interpolated.
    variants (Mapping): For each trial's name, the settings that it changes, by their dotted names.
    output (Path): For a folder per trial and `trials.json`, the best first.
    report (Callable): Called with a trial and what `spacy train` logs, after each of its evaluations.
    RETURNS (list[Trial]): The best first. RAISES (PTuningError): P721-P723 for impossible trials.
    """
    check_variants(variants)
    trials = [start_trial(config, name, changes, output, use_gpu) for name, changes in variants.items()]
    run_trials(trials, config, report=report)
    trials.sort(key=lambda trial: trial.best, reverse=True)
    srsly.write_json(output / "trials.json", [summary(trial) for trial in trials])
    return trials


def run_trials(
    trials: Sequence[Trial], config: Config, *, report: ReportTrial, report_failure: ReportFailure | None = None
) -> None:
    """Train what `start_trial` returned, in one pass over the data.

    config (Config): The config that all were started from, which decides the order of the batches.
    report (Callable): Called with a trial and what `spacy train` logs, after each of its evaluations. If it returns
        True the trial trains no further.
    report_failure (Callable | None): Called with a trial whose training diverged, and why; the others go on. Without
        it, that is raised.
    """
    fix_random_seed(config.interpolate()["training"]["seed"] or 0)
    loop = JointLoop(trials)
    for reports in loop.run():
        for own in reports:
            trial, failure = own.trainer, own.trainer.failure
            if failure is not None:
                if report_failure is None:
                    raise failure
                loop.leave(trial)
                report_failure(trial, failure)
            elif own.is_best is not None:
                trial.keep(own)
                if report(trial, own.info):
                    loop.leave(trial)
        if not loop.trainers:
            return


def is_shared(setting: str) -> bool:
    """Return whether a setting must be the same for all trials. setting (str): Its dotted name."""
    return any(setting == shared or setting.startswith(f"{shared}.") for shared in SHARED_SETTINGS)


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
            if is_shared(key):
                raise PTuningError(Errors.P722.format(name=name, problem=f"{key} must be the same for all trials"))


def summary(trial: Trial) -> dict[str, Any]:
    """Return what `trials.json` says about a trial."""
    score, step = trial.best
    return {"name": trial.name, "score": score, "step": step, "settings": dict(trial.changes)}


def start_trial(config: Config, name: str, changes: Mapping[str, Any], output: Path, use_gpu: int) -> Trial:
    """Build and initialise one trial, with an empty learning curve in its folder.

    config (Config): Not interpolated. changes (Mapping): The settings that it changes, by their dotted names.
    output (Path): Where its folder is. RAISES (PTuningError): P723 if the config has annotating components.
    """
    own = Config().from_str(config.to_str(), interpolate=False, overrides=dict(changes))
    trial = Trial(name, changes, init_nlp(own, use_gpu=use_gpu), output / name)
    if trial.settings["annotating_components"]:
        raise PTuningError(Errors.P723.format(got=", ".join(trial.settings["annotating_components"])))
    trial.folder.mkdir(parents=True, exist_ok=True)
    (trial.folder / CURVE).write_text("", encoding="utf8")
    return trial
