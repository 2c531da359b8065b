"""One step over all tensors of a pipeline, whoever calls: `spacy train` or a loop of one's own.

In: tensors with gradients, one call each, as spaCy's components hand them over. Out: the step of an update rule over
all of them, clipped by one global norm. thinc's own optimizer clips and steps each tensor by itself, as it comes.

Nobody tells an optimizer in `nlp.update(examples, sgd=optimizer)` which tensor is the last. So the step is taken *on
trial* with each tensor that comes: those before it are put back to what they were and stepped anew, where the norm has
changed the clipping. After the last one the weights are just those of one step over all. A step is over, and its
moments, average, schedule and watch for divergence move on, when

- `step_schedules` is called, as `spacy train` does after every batch; whoever does is expected to do so again, and
  until then nothing is tried,
- or a tensor comes again, or a layer of ours begins a training pass, or finishes one, that has had its turn already
  (`begins_pass`, `takes_turn`),
- or somebody calls `step()` or asks for `averages`.

Layers whose gradients are still to come when their component is asked to finish, as before listeners, announce
themselves (`await_gradients`): a step that ends without those asks for what there is.
Where training comes to nothing (`divergence.py`), it begins anew, at lower rates. What is evaluated is an average.
Source: Shamir and Zhang 2013, section 4 (polynomial-decay averaging), https://arxiv.org/abs/1212.1824.
"""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from thinc.api import Optimizer
from thinc.types import FloatsXd

from ..errors import Errors, PTuningError, Warnings
from .divergence import BAD_STEPS, DivergenceWatch
from .settings import StepSettings
from .tensors import Key, Moments, Pending, Start, overwrite, square_sum

LOWER = 1 / 3  # rates after a restart, as a share of those before it
WARMUP_STEPS = 20  # after a restart, in which they rise to that
AVERAGING = 8  # eta of the source: two thirds of the weight is on the last ninth of the steps


class StepOptimizer(Optimizer):
    """Global norm clipping, averages and restarts around an update rule, in the shape that spaCy expects.

    Components that know how well chance would do report their losses to `observe`. A restart puts every tensor back to
    what it was before its first step, and goes on with the schedule. `averages` holds the averages of the tensors,
    under their keys, for `nlp.use_params`. `n_left_out` counts the steps that were left out because their gradients
    were not finite.
    """

    __slots__ = (
        "__weakref__",
        "_averages",
        "_awaited",
        "_groups",
        "_is_driven",
        "_n_at_zero",
        "_n_restarts",
        "_pending",
        "_schedule_is_due",
        "_starts",
        "_states",
        "_steps",
        "_turns",
        "_watch",
        "n_left_out",
        "settings",
    )

    def __init__(self, settings: StepSettings, schedule: Iterable[float]) -> None:
        super().__init__(iter(schedule), grad_clip=settings.grad_clip, use_averages=settings.use_averages)  # type: ignore[arg-type]
        self.settings = settings
        self.n_left_out = 0
        self._pending: dict[Key, Pending] = {}
        self._awaited: list[Callable[[], None]] = []
        self._turns: set[int] = set()  # layers of ours whose components have finished in this step
        self._states: dict[Key, Moments] = {}
        self._starts: dict[Key, Start] = {}
        self._watch = DivergenceWatch()
        self._n_restarts = 0
        self._n_at_zero = 0  # steps in a row whose rates are 0
        self._steps = 0  # since the last restart
        self._groups = 0  # that are being handed over
        self._is_driven = False  # by a loop that calls `step_schedules`
        self._schedule_is_due = False  # a step was taken, and the schedule has not moved since

    @abstractmethod
    def updated(self, key: Key, weights: FloatsXd, gradient: FloatsXd) -> tuple[FloatsXd, Moments]:
        """Return what a tensor is after this step, and its moments; nothing is changed in place.

        gradient (FloatsXd): Clipped. Shape of all: that of the weights.
        """

    @property
    def averages(self) -> dict[Key, FloatsXd] | None:
        """The averages of all steps up to now, by the tensors' keys; None if there are none to be kept."""
        self.step()
        return self._averages

    @averages.setter
    def averages(self, averages: dict[Key, FloatsXd] | None) -> None:
        self._averages = averages

    def observe(self, loss: float, chance: float) -> None:
        """Take note of a component's loss in this step, and of what chance would lose; see `DivergenceWatch`."""
        self._watch.note(loss, chance)

    def __call__(
        self, key: Key, weights: FloatsXd, gradient: FloatsXd, *, lr_scale: float = 1.0
    ) -> tuple[FloatsXd, FloatsXd]:
        """Take over a tensor's gradient; the weights change in place, now or at the end of the step."""
        if key in self._pending:
            self._is_driven = False
            self.step()
        self._begin()
        scaled = gradient * lr_scale
        self._pending[key] = Pending(weights, scaled, square_sum(scaled))
        if key in self._starts:
            self._starts[key].weights = weights
        elif self.settings.restarts:
            self._starts[key] = Start(weights, weights.copy())
        overwrite(gradient, 0.0)  # times 0, one that is not a number would stay that
        self._try()
        return weights, gradient

    @contextmanager
    def together(self) -> Iterator[None]:
        """Take tensors over as a group: the step is tried when all of them are there."""
        self._groups += 1
        try:
            yield
        finally:
            self._groups -= 1
            self._try()

    def await_gradients(self, hand_over: Callable[[], None]) -> None:
        """Note what is to be called, at the latest at the end of the step, for tensors whose gradients are to come."""
        self._awaited.append(hand_over)

    def begins_pass(self, layer: int) -> None:
        """Hear that a training pass of a layer begins: if the layer had its turn, that was in a step that is over."""
        if layer in self._turns:
            self.step()
            self._begin()

    def takes_turn(self, layer: int) -> None:
        """Hear that a layer's component finishes, with gradients or without: once in each step."""
        if layer in self._turns:
            self._is_driven = False
            self.step()
        self._begin()
        self._turns.add(layer)

    def _begin(self) -> None:
        """Move the schedule on where a step was taken since it did, and another begins."""
        if not self._pending and self._schedule_is_due:
            self._move_schedule()

    def step_schedules(self) -> None:
        """End the step, then move the schedule on. spaCy calls this once per batch."""
        if self._is_under_way or not self._schedule_is_due:
            self._take()
        self._move_schedule()
        self._is_driven = True

    def step(self) -> float:
        """End the step that is under way, if one is: take it for good, or restart where that is due.

        RETURNS (float): The gradients' global norm before clipping.
        RAISES (PTuningError): P409 if several in a row are not finite and there are no restarts left.
        """
        return self._take() if self._is_under_way else 0.0

    @property
    def _is_under_way(self) -> bool:
        return bool(self._pending or self._awaited or self._turns)

    def _take(self) -> float:
        awaited, self._awaited = self._awaited, []
        for hand_over in awaited:
            hand_over()
        self._turns = set()
        norm = self._norm()
        problem = self._watch.problem(norm)
        self._schedule_is_due = True
        if problem is not None and self._restart(problem):
            return norm
        if not math.isfinite(norm):
            self._leave_out(norm, problem)
            return norm
        self._apply(self._scale(norm))
        self._steps += 1
        for key, pending in self._pending.items():
            if pending.moments is not None:
                self._states[key] = pending.moments
            self._average(key, pending.weights)
        self._note_rate()
        self._pending = {}
        return norm

    def _try(self) -> None:
        """Take the step over the tensors that are there, for the time being."""
        if self._is_driven or self._groups:
            return
        norm = self._norm()
        if math.isfinite(norm):
            for pending in self._pending.values():
                pending.before = pending.weights.copy() if pending.before is None else pending.before
            self._apply(self._scale(norm))
        else:
            for pending in self._pending.values():
                pending.undo()

    def _apply(self, scale: float) -> None:
        """Step every tensor that was not stepped with this scale of its gradient yet."""
        for key, pending in self._pending.items():
            if pending.scale == scale:
                continue
            origin = pending.weights if pending.before is None else pending.before
            weights, pending.moments = self.updated(key, origin, pending.gradient * scale)
            overwrite(pending.weights, weights)
            pending.scale = scale

    def _norm(self) -> float:
        """Return the global norm; however the tensors are ordered, the same."""
        squares = [pending.square for pending in self._pending.values()]
        return math.sqrt((math.fsum if all(map(math.isfinite, squares)) else sum)(squares))

    def _scale(self, norm: float) -> float:
        return min(1.0, self.grad_clip / norm) if self.grad_clip and norm else 1.0

    def _leave_out(self, norm: float, problem: str | None) -> None:
        """Undo a step whose gradients are not finite.

        RAISES (PTuningError): P409 if that is a problem by now.
        """
        for pending in self._pending.values():
            pending.undo()
        self._pending = {}
        if problem is not None:
            raise PTuningError(Errors.P409.format(problem=problem, rates=self._rates(), restarts=self._n_restarts))
        if not self.n_left_out:
            warnings.warn(Warnings.PW10.format(norm=norm, n_bad=BAD_STEPS), stacklevel=4)
        self.n_left_out += 1

    def _restart(self, problem: str) -> bool:
        """Put every tensor back to its start, at lower rates, and say so. RETURNS (bool): False if none is left."""
        if self._n_restarts == self.settings.restarts:
            return False
        for start in self._starts.values():
            overwrite(start.weights, start.values)
        self._n_restarts, self._steps = self._n_restarts + 1, 0
        self._states, self._pending = {}, {}
        self._averages = None if self._averages is None else {}
        self._watch.forget()
        left = self.settings.restarts - self._n_restarts
        warnings.warn(Warnings.PW08.format(problem=problem, rates=self._rates(), left=left), stacklevel=4)
        return True

    def _move_schedule(self) -> None:
        before = self.learn_rate
        super().step_schedules()  # type: ignore[no-untyped-call]
        if self.learn_rate > before:
            self._watch.forget()
        self._schedule_is_due = False

    def _note_rate(self) -> None:
        """Say so when a schedule is at its end and training goes on: `spacy train` takes one step there."""
        self._n_at_zero = self._n_at_zero + 1 if self.learn_rate == 0.0 else 0
        if self._n_at_zero == 2:
            warnings.warn(Warnings.PW11, stacklevel=5)

    def _average(self, key: Key, weights: FloatsXd) -> None:
        """Let a tensor's average take in what it is now."""
        if self._averages is None:
            return
        if key not in self._averages:
            self._averages[key] = weights.copy()
        self._averages[key] += averaging_share(self._steps) * (weights - self._averages[key])

    def _share(self) -> float:
        """Return the present share of the configured rates: less after each restart."""
        rise = min(1.0, (self._steps + 1) / WARMUP_STEPS) if self._n_restarts else 1.0
        return float(LOWER**self._n_restarts * rise)

    def _rates(self) -> str:
        """Return the peak rates that are in force, for messages."""
        share = LOWER**self._n_restarts
        return ", ".join(f"{part} {rate * share:.2g}" for part, rate in self.settings.learn_rates.items())

    def rate(self, part: str) -> float:
        """Return the rate of a part in this step."""
        return self.learn_rate * self.settings.learn_rates[part] * self._share()


def averaging_share(step: int) -> float:
    """Return how much of an average of the steps the newest has; the first is step 1."""
    return (AVERAGING + 1) / (AVERAGING + step)
