"""The progress of training: everything that decides how it continues, in addition to weights and optimizer state."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from .random_state import RandomState


@dataclass
class PipelineState:
    """The progress of one pipeline.

    results (list[tuple[float, int]]): Score and step of each evaluation.
    reported (list[dict[str, Any]]): What the logger was told of each evaluation.
    losses (dict[str, float]): Of each component, since the last evaluation.
    random (RandomState | None): The pipeline's own generators, if it trains together with others.
    """

    results: list[tuple[float, int]] = field(default_factory=list)
    reported: list[dict[str, Any]] = field(default_factory=list)
    losses: dict[str, float] = field(default_factory=dict)
    random: RandomState | None = None

    @property
    def best(self) -> tuple[float, int]:
        """The best score, and the first step that reached it."""
        score, negative_step = max((score, -step) for score, step in self.results)
        return score, -negative_step

    def take_losses(self) -> dict[str, float]:
        """Return the losses since the last call, and reset them."""
        losses, self.losses = self.losses, {}
        return losses


@dataclass
class LoopState:
    """The progress of a loop.

    n_steps (int): Steps taken so far.
    epoch, n_batches (int): The current epoch, from 0, and the batches taken in it.
    words (int), seconds (float): So far.
    pipelines (list[PipelineState]): One for each pipeline.
    start (RandomState | None): Before the corpus was read.
    corpus (str | None): How many examples and words it has; None if it is streamed, or not read yet.
    shuffles (list[Any]): Of each epoch begun, the state of Python's generator before it shuffled the corpus.
    random (RandomState | None): From which a training that was interrupted continues, after that epoch was reached.
    """

    n_steps: int = 0
    epoch: int = 0
    n_batches: int = 0
    words: int = 0
    seconds: float = 0.0
    pipelines: list[PipelineState] = field(default_factory=list)
    start: RandomState | None = None
    corpus: str | None = None
    shuffles: list[Any] = field(default_factory=list)
    random: RandomState | None = None

    @property
    def step(self) -> int:
        """The number of the last step; the first is 0."""
        return self.n_steps - 1

    def copy(self) -> LoopState:
        """Return a copy that later steps do not change, with the random numbers that are next."""
        pipelines = [
            replace(own, results=list(own.results), reported=list(own.reported), losses=dict(own.losses))
            for own in self.pipelines
        ]
        return replace(self, pipelines=pipelines, shuffles=list(self.shuffles), random=RandomState.capture())

    def go_back_to(self, earlier: LoopState) -> None:
        """Become what a copy has kept; its random numbers are the next ones again."""
        for own, kept in zip(self.pipelines, earlier.pipelines, strict=True):
            vars(own).update(vars(kept))
        vars(self).update({**vars(earlier), "pipelines": self.pipelines})
        if earlier.random is not None:
            earlier.random.restore()
