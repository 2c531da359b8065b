"""One pipeline in training: how it learns from a batch, steps, is evaluated and saved, as in `spacy train`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.schemas import ConfigSchemaTraining
from spacy.training import Example
from spacy.training.loop import (
    DIR_MODEL_BEST,
    DIR_MODEL_LAST,
    create_before_to_disk_callback,
    create_evaluation_callback,
    subdivide_batch,
    update_meta,
)
from spacy.util import registry, resolve_dot_names
from thinc.api import Optimizer

from ..optimizers.parameters import parameters_of_pipeline
from ..optimizers.protocol import drive, introduce
from ..writing import replacing_folder
from .fit_temperature import FitTemperature
from .progress import PipelineState

Scores = tuple[float, dict[str, Any]]  # the main score, and all scores
ReadCorpus = Callable[[Language], Iterable[Example]]
Corpora = tuple[ReadCorpus, ReadCorpus]  # for training and dev


def resolve_training(nlp: Language) -> dict[str, Any]:
    """Return the resolved [training] block of a pipeline's config."""
    return dict(registry.resolve(nlp.config.interpolate()["training"], schema=ConfigSchemaTraining))


def main_score(scores: Mapping[str, Any], weights: Mapping[str, float | None]) -> float:
    """Return the sum of scores by the `score_weights` of a config; a score that is missing or None counts as 0."""
    return sum(weight * (scores.get(name) or 0.0) for name, weight in weights.items() if weight)


class Trainer:
    """A pipeline with its optimizer and its training settings.

    nlp (Language): Initialised.
    settings (dict[str, Any]): See `resolve_training`; they include the optimizer.
    corpora (Corpora | None): Readers of the training and the dev corpus; None for those that the config names.
    """

    def __init__(self, nlp: Language, settings: dict[str, Any], corpora: Corpora | None = None) -> None:
        self.nlp = nlp
        self.settings = settings
        self.optimizer: Optimizer = settings["optimizer"]
        self.state = PipelineState()
        names = [settings["train_corpus"], settings["dev_corpus"]]
        self.train_corpus, self.dev_corpus = corpora or resolve_dot_names(nlp.config.interpolate(), names)
        if corpora is not None and isinstance(callback := settings["before_to_disk"], FitTemperature):
            settings["before_to_disk"] = replace(callback, corpus=self.dev_corpus)
        self._evaluate = create_evaluation_callback(nlp, self.dev_corpus, self.settings["score_weights"])
        drive(self.optimizer)
        introduce(self.optimizer, nlp, parameters_of_pipeline)

    @property
    def trained(self) -> list[tuple[str, Any]]:
        """The components that train."""
        return [
            (name, pipe)
            for name, pipe in self.nlp.pipeline
            if name not in self.settings["frozen_components"]
            and getattr(pipe, "is_trainable", False)
            and getattr(pipe, "model", None) not in (True, False, None)
        ]

    def update(self, batch: Sequence[Example], progress: Mapping[str, int]) -> None:
        """Learn from a batch, without a step. progress (Mapping[str, int]): "step" and "epoch", for `before_update`."""
        self.before_update(progress)
        for part in subdivide_batch(batch, self.settings["accumulate_gradient"]):  # type: ignore[no-untyped-call]
            self.learn_from(part)

    def learn_from(self, examples: Sequence[Example]) -> None:
        """Collect the gradients of some examples."""
        self.nlp.update(
            examples,
            drop=self.settings["dropout"],
            losses=self.state.losses,
            sgd=False,  # type: ignore[arg-type]
            exclude=self.settings["frozen_components"],
            annotates=self.settings["annotating_components"],
        )

    def before_update(self, progress: Mapping[str, int]) -> None:
        """Call the config's `before_update`, if it has one."""
        if self.settings["before_update"]:
            self.settings["before_update"](self.nlp, dict(progress))

    def step(self) -> None:
        """Let the optimizer step."""
        for _, pipe in self.trained:
            pipe.finish_update(self.optimizer)
        self.optimizer.step_schedules()

    def averaged(self) -> AbstractContextManager[None]:
        """Return a context in which the weights are the optimizer's averages, if it keeps any."""
        return self.nlp.use_params(self.optimizer.averages)

    def evaluate(self) -> Scores:
        """Score the pipeline on the dev corpus, with averaged weights if the optimizer keeps any."""
        with self.averaged():
            return self._evaluate()

    def sum_losses(self) -> None:
        """Make the losses those of whole batches, before they are reported; they are if one process trains alone."""

    def agree_on_signal(self, number: int | None) -> int | None:
        """Return the signal at which training ends now, if any. number (int | None): Of one that came here."""
        return number

    def describe(self, info: Mapping[str, Any]) -> None:
        """Write an evaluation's scores and losses into the pipeline's meta. info (Mapping): See `Report.info`."""
        with self.nlp.select_pipes(disable=self.settings["frozen_components"]):
            update_meta(self.settings, self.nlp, dict(info))

    def save(self, folder: Path, *, is_best: bool) -> None:
        """Write model-last, and model-best if this is the best, into a folder, which is created if it is missing.

        RAISES (DiskError): P810; the last complete ones are then still there.
        """
        last = folder / DIR_MODEL_LAST
        before_to_disk = create_before_to_disk_callback(self.settings["before_to_disk"])
        with self.averaged(), replacing_folder(last) as new:
            before_to_disk(self.nlp).to_disk(new)
        if is_best:
            with replacing_folder(self.best_of(folder)) as new:
                shutil.copytree(last, new, dirs_exist_ok=True)

    def best_of(self, folder: Path) -> Path:
        """Return where `save` puts the best pipeline."""
        return folder / DIR_MODEL_BEST

    def restore_best(self, folder: Path) -> None:
        """Give the pipeline the weights of the best one that was saved in a folder."""
        self.nlp.from_disk(self.best_of(folder))
