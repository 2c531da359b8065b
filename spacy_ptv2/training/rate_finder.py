"""A range test of learning rates: training with rates that grow from step to step.

In: a training config with one of our optimizers. Out: one point per step, as it comes: the factor on all learning
rates, and the loss. The test has its own pipeline and optimizer and saves nothing; its steps are those of training.
Source: Smith 2017, section 3.3, https://arxiv.org/abs/1506.01186; Gugger 2018,
https://sgugger.github.io/how-do-you-find-a-good-learning-rate.html, for growth by a constant factor, smoothing and the
end.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from spacy.language import Language
from spacy.training.initialize import init_nlp
from spacy.ty import ListenedToComponent
from thinc.api import Config, fix_random_seed

from ..errors import Errors, PTuningError
from ..optimizers.base import StepOptimizer
from ..pipeline.shared_backbone import SharedBackbone
from .loop import Loop
from .rate_curve import RateCurve, RatePoint
from .trainer import Trainer, resolve_training

LOWEST, HIGHEST = 1e-3, 1e2
MIN_STEPS = 20
NO_NUMBER = ("[E910]", "[P409]")  # errors for NaN: spaCy's tagger and similar components for a loss, ours for gradients


class RateFinder:
    """A range test of one config, ready to run once.

    config (Config): A training config, not interpolated.
    steps (int): Steps from the lowest to the highest factor.
    RAISES (PTuningError): P407 for too few steps; P410 if the optimizer is not ours; P411 if no component has a loss.
    """

    def __init__(self, config: Config, *, steps: int = 100, use_gpu: int = -1) -> None:
        if steps < MIN_STEPS:
            raise PTuningError(Errors.P407.format(name="steps", expected=f"at least {MIN_STEPS}", got=steps))
        self.steps = steps
        self.curve = RateCurve()
        self._nlp = init_nlp(config, use_gpu=use_gpu)
        plan = resolve_training(self._nlp)
        given = plan["optimizer"]
        if not isinstance(given, StepOptimizer):
            got = self._nlp.config["training"]["optimizer"].get("@optimizers")
            raise PTuningError(Errors.P410.format(got=got))
        settings = replace(given.settings, restarts=0)
        self._optimizer = StepOptimizer(given.rule, settings, growing_factors(steps))
        plan["max_epochs"] = min(plan["max_epochs"], 0)  # endless: 0, or -1 for a corpus that is streamed
        plan["max_steps"] = steps - 1  # the number of the last step
        self._trainer = Trainer(self._nlp, {**plan, "optimizer": self._optimizer})
        self._judged = judged_components(self._nlp, self._trainer.settings["frozen_components"])
        if not self._judged:
            raise PTuningError(Errors.P411.format(names=", ".join(self._nlp.pipe_names)))

    @property
    def rates(self) -> Mapping[str, float]:
        """The config's peak rate of each part, which a factor of 1 stands for."""
        return self._optimizer.settings.learn_rates

    def run(self) -> Iterator[RatePoint]:
        """Train, and yield a point for every step, until the loss is far above its best or not finite."""
        for factor, losses in zip(growing_factors(self.steps), self._train(), strict=True):
            point = self.curve.add(factor, sum(losses.get(name, 0.0) for name in self._judged))
            if point is not None:
                yield point
            if self.curve.has_diverged:
                return

    def _train(self) -> Iterator[Mapping[str, float]]:
        """Yield the losses of each step."""
        fix_random_seed(self._trainer.settings["seed"] or 0)  # as spacy train does between its start and its first step
        try:
            for _ in Loop([self._trainer]).steps():
                losses = self._trainer.state.take_losses()
                yield self._no_numbers() if self._optimizer.n_left_out else losses
        except ValueError as error:
            if not any(code in str(error) for code in NO_NUMBER):
                raise
            yield self._no_numbers()

    def _no_numbers(self) -> Mapping[str, float]:
        """Return NaN losses for a step whose gradients were not finite, because components leave such losses out."""
        return dict.fromkeys(self._judged, math.nan)


def growing_factors(steps: int) -> Iterator[float]:
    """Yield one factor per step, from the lowest to the highest, each the same multiple of the previous one."""
    return (LOWEST * (HIGHEST / LOWEST) ** (step / (steps - 1)) for step in range(steps))


def judged_components(nlp: Language, frozen: list[str]) -> list[str]:
    """Return the components whose losses are summed: those that train on annotations.

    Components that only pass vectors to listeners (`ptuning_transformer`, spaCy's tok2vec, spacy-transformers'
    transformer) report the squares of the returned gradients instead of a loss, and `shared_backbone` always 0.
    """
    return [
        name
        for name, pipe in nlp.pipeline
        if name not in frozen
        and getattr(pipe, "is_trainable", False)
        and not isinstance(pipe, ListenedToComponent | SharedBackbone)
    ]
