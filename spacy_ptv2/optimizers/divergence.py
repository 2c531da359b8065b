"""Detects that training has diverged, so that the optimizer can restart at lower rates.

There are two signs. The first is gradients that are not finite in several steps in a row, at any time. The second is
losses that are no better than chance once the rates have stopped rising. Chance is a model that knows the frequency of
each tag but not the text, so its loss is the entropy of the tags. While losses still fall, even a hard task gets below
chance; at too high a rate none does. If entities are so rare that chance loses almost nothing, such a loss is no sign.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

WINDOW = 50  # losses that are averaged
NEXT_TO_NOTHING = 0.01  # nats per token; the loss of chance if about one token in 800 is an entity
FALLING = 0.95  # the second half of those losses against the first: below that, training is still under way
BAD_STEPS = 3  # in a row; a single batch may overflow, and is skipped


@dataclass
class DivergenceWatch:
    """Remembers the losses of the last steps, and what chance would have lost."""

    _losses: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _chances: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _n_bad_steps: int = 0
    _seen: dict[str, ChanceLoss] = field(default_factory=dict)  # by component, over the whole training

    def observe(self, name: str, loss: float, seen: ChanceLoss) -> None:
        """Record a component's loss in a step, in nats per token, and the gold tags of that step."""
        known = self._seen.get(name)
        if known is None or known.n_tags != seen.n_tags:
            known = self._seen[name] = ChanceLoss(seen.n_tags, seen.slack)
        known.include(seen)
        self.note(loss, known.nats)

    def note(self, loss: float, chance: float) -> None:
        """Record the loss of a step, and that of chance on the tags seen so far, both in nats per token.

        A loss that is not finite is left to `problem`, which sees its gradients.
        """
        if math.isfinite(loss):
            self._losses.append(loss)
            self._chances.append(chance)

    def forget(self) -> None:
        """Forget the losses, as after a restart or while the rates rise."""
        self._losses.clear()
        self._chances.clear()

    def state(self) -> dict[str, Any]:
        """Return what is remembered, as values for JSON."""
        return {
            "losses": [*self._losses],
            "chances": [*self._chances],
            "n_bad_steps": self._n_bad_steps,
            "seen": {name: seen.state() for name, seen in self._seen.items()},
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the `state` of another watch."""
        self.forget()
        self._losses.extend(state["losses"])
        self._chances.extend(state["chances"])
        self._n_bad_steps = state["n_bad_steps"]
        self._seen = {name: ChanceLoss.of(seen) for name, seen in state["seen"].items()}

    def problem(self, norm: float, of_losses: str | None) -> str | None:
        """Return what is wrong, or None; call this once per step.

        norm (float): Global norm of its gradients. of_losses (str | None): See `problem_of_losses`.
        """
        if not math.isfinite(norm):
            self._n_bad_steps = self._n_bad_steps % BAD_STEPS + 1
            return f"the gradients of {BAD_STEPS} steps in a row are {norm}" if self._n_bad_steps == BAD_STEPS else None
        self._n_bad_steps = 0
        return of_losses

    def problem_of_losses(self) -> str | None:
        """Return what is wrong with the losses of the last steps, or None."""
        if len(self._losses) < WINDOW:
            return None
        loss, chance = (sum(values) / WINDOW for values in (self._losses, self._chances))
        if loss < max(chance, NEXT_TO_NOTHING) or self._is_falling():
            return None
        return f"the loss of the last {WINDOW} steps is {loss:.2f}, and that of chance would be {chance:.2f}"

    def _is_falling(self) -> bool:
        """Return whether the losses still fall: a task with a hundred tags takes its time to reach chance."""
        losses = list(self._losses)
        first, second = losses[: WINDOW // 2], losses[WINDOW // 2 :]
        return sum(second) < FALLING * sum(first)


@dataclass
class ChanceLoss:
    """What a model would lose that knows nothing of the text.

    Of tags it knows the frequencies; of choices among options that differ from text to text, as the first token of an
    answer, only how many options there are.

    n_tags (int): The number of tags.
    slack (float): What the loss is multiplied by, for tasks so hard that training may stay at chance for long.
    """

    n_tags: int
    slack: float = 1.0
    n_choices: int = 0
    choice_nats: float = 0.0
    counts: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.zeros(self.n_tags, dtype=np.int64)

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> ChanceLoss:
        """Return what `state` was taken from."""
        chance = cls(len(state["counts"]), state["slack"], state["n_choices"], state["choice_nats"])
        chance.counts += np.asarray(state["counts"], dtype=np.int64)
        return chance

    def state(self) -> dict[str, Any]:
        """Return what was counted, as values for JSON."""
        return {
            "counts": self.counts.tolist(),
            "slack": self.slack,
            "n_choices": self.n_choices,
            "choice_nats": self.choice_nats,
        }

    def add(self, tags: Iterable[int]) -> None:
        """Count gold tags."""
        self.counts += np.bincount(np.fromiter(tags, dtype=np.int64), minlength=self.n_tags)

    def add_choice(self, n_options: int) -> None:
        """Count a choice among options that are new with each text."""
        self.n_choices += 1
        self.choice_nats += math.log(n_options)

    def include(self, other: ChanceLoss) -> None:
        """Count what another one has counted, of the same number of tags."""
        self.counts += other.counts
        self.n_choices += other.n_choices
        self.choice_nats += other.choice_nats

    @property
    def nats(self) -> float:
        """The loss per tag and choice: the entropy of the tags counted so far, and all options of a choice alike."""
        n_tags = int(self.counts.sum())
        shares = self.counts[self.counts > 0] / max(1, n_tags)
        entropy = float(-(shares * np.log(shares)).sum())
        return self.slack * (n_tags * entropy + self.choice_nats) / max(1, n_tags + self.n_choices)
