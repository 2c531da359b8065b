"""The optimizer: clips the gradients of each layer by their norm, and steps all tensors together.

In: tensors with gradients, one call each, as spaCy's components hand them over. Out: one step of an update rule over
all of them, clipped by a norm per layer. (Thinc's own clips and steps each tensor separately, as it comes.)

Until a step ends it is on trial (`gradients.py`). It ends, and all that depends on the number of steps advances, when

- `step_schedules` is called, as `spacy train` does after every batch; nothing is tried until the next such call;
- a tensor comes again, or a layer of ours that had its turn in this step begins or finishes another training pass
  (`begins_pass`, `takes_turn`);
- `step()` is called, or `averages` is read.

A layer whose gradients are not available yet when its component finishes, as with listeners, announces them.
Training that has diverged (`divergence.py`) restarts at lower rates. What is evaluated is an average of the steps.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray
from thinc.api import Optimizer
from thinc.types import FloatsXd

from ..errors import Errors, PTuningError, Warnings
from ..parameter_groups import part_of
from .averaging import Averages
from .divergence import BAD_STEPS, DivergenceWatch
from .gradients import CollectedGradients, Pending, Reduce
from .parameters import ParameterNames
from .restarts import Restarts
from .rules import RuleState, StepSize, UpdateRule
from .schedules import as_schedule
from .settings import StepSettings
from .state import export_state, import_state
from .tensors import Contents, Key, overwrite, rate_factors
from .turns import Turns

OF_OTHERS = "the losses of the first process are no better than chance"


class StepOptimizer(Optimizer):
    """Clipping, averages and restarts around an update rule, in the shape that spaCy expects.

    rule (UpdateRule): Steps one tensor.
    settings (StepSettings): Rates, clipping, restarts, averages.
    schedule (Any): Factors on all rates, see `as_schedule`. A restart does not reset it.
    n_left_out (int): Steps that were skipped because their gradients were not finite.
    reduce (Reduce | None): Sums over processes that share each batch.
    is_driven (bool): Whether a loop calls `step_schedules` after each batch, so that no step has to be tried.
    """

    __slots__ = (
        "__weakref__",
        "_averages",
        "_contents",
        "_gradients",
        "_groups",
        "_schedule",
        "factor",
        "is_driven",
        "n_at_zero",
        "n_left_out",
        "names",
        "position",
        "reduce",
        "restarts",
        "rule",
        "schedule_is_due",
        "settings",
        "states",
        "steps",
        "turns",
        "watch",
    )

    def __init__(self, rule: UpdateRule, settings: StepSettings, schedule: Any) -> None:
        self.names = ParameterNames()
        self._schedule = as_schedule(schedule)
        super().__init__(self._schedule(0), grad_clip=settings.grad_clip, use_averages=settings.use_averages)
        self.rule = rule
        self.settings = settings
        self.states: dict[str, RuleState] = {}
        self.restarts = Restarts(settings.restarts)
        self.watch = DivergenceWatch()
        self.turns = Turns()
        self.position = 0  # of the schedule
        self.schedule_is_due = False  # a step was taken, and the schedule has not moved since
        self.steps = 0  # since the last restart
        self.n_at_zero = 0  # steps in a row whose rates are 0
        self.n_left_out = 0
        self.is_driven = False
        self.reduce: Reduce | None = None
        self._contents: dict[Key, Contents] = {}
        self._gradients = CollectedGradients()
        self._groups = 0  # groups that are being handed over

    @property
    def learn_rate(self) -> float:
        """The highest rate of any part at this point of the schedule, which `spacy train` prints."""
        return self.factor * max(self.settings.learn_rates.values())

    @learn_rate.setter
    def learn_rate(self, value: float) -> None:
        """Thinc's constructor sets it, to the first value of the schedule."""
        self.factor = float(value)

    @property
    def averages(self) -> dict[Key, FloatsXd] | None:
        """The averages of all steps so far, by Thinc's keys, for `nlp.use_params`; None if none are kept."""
        self.step()
        if self._averages is None:
            return None
        return {self.names.key(name): array for name, array in self._averages.arrays.items()}

    @averages.setter
    def averages(self, averages: dict[Key, FloatsXd] | None) -> None:
        self._averages = None if averages is None else Averages()
        for key, array in (averages or {}).items():
            self._averages.arrays[self.names[key]] = array  # type: ignore[union-attr]

    def __call__(
        self, key: Key, weights: FloatsXd, gradient: FloatsXd, *, lr_scale: float = 1.0
    ) -> tuple[FloatsXd, FloatsXd]:
        """Accept a tensor's gradient. The weights change in place, now or at the end of the step."""
        name = self.names[key]
        if name in self._gradients:
            self.is_driven = False
            self.step()
        self._begin()
        self._gradients.add(name, Pending(weights, gradient * lr_scale, key, self._contents.get(key)))
        self.restarts.note(name, weights)
        overwrite(gradient, 0.0)  # multiplied by 0, NaN would stay NaN
        self._try()
        return weights, gradient

    def describe(self, contents: Mapping[Key, Contents]) -> None:
        """Record the matrices that tensors consist of."""
        self._contents.update(contents)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Accept tensors as a group: the step is tried once all of them are there."""
        self._groups += 1
        try:
            yield
        finally:
            self._groups -= 1
            self._try()

    def begins_pass(self, layer: int) -> None:
        """Learn that a training pass of a layer begins. If the layer already had its turn, that step is over."""
        if layer in self.turns:
            self.step()
            self._begin()

    def takes_turn(self, layer: int) -> None:
        """Learn that a layer's component finishes its update, with or without gradients: once in each step."""
        if layer in self.turns:
            self.is_driven = False
            self.step()
        self._begin()
        self.turns.take(layer)

    def step_schedules(self) -> None:
        """End the step, then advance the schedule. spaCy calls this once per batch."""
        if self._is_under_way or not self.schedule_is_due:
            self._take()
        self._move_schedule()
        self.is_driven = True

    def step(self) -> float:
        """End the step under way, if there is one: make it permanent, or restart if that is due.

        RETURNS (float): The gradients' global norm before clipping.
        RAISES (PTuningError): P409 if several norms in a row are not finite and no restarts are left.
        """
        return self._take() if self._is_under_way else 0.0

    def rate(self, part: str) -> float:
        """Return the rate of a part in this step."""
        return self.factor * self.settings.learn_rates[part] * self.restarts.share(self.steps + 1)

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """End the step under way, and return all that later ones depend on: named arrays, and values for JSON."""
        self.step()
        return export_state(self, self._averages)

    def load_state(self, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Continue from the `state` of an optimizer with the same rule, settings and schedule.

        First introduce the pipeline and restore its weights. RAISES (PTuningError): P415, P416.
        """
        self._averages = import_state(self, arrays, values)
        self.factor = float(self._schedule(self.position))

    @property
    def _is_under_way(self) -> bool:
        return bool(self._gradients or self.turns)

    def _begin(self) -> None:
        """Advance the schedule if a step begins and the last one was taken after the schedule last advanced."""
        if not self._gradients and self.schedule_is_due:
            self._move_schedule()

    def _try(self) -> None:
        if not self.is_driven and not self._groups:
            self._gradients.try_step(self.grad_clip, self._updated)

    def _take(self) -> float:
        self.turns.end()
        problem = self.watch.problem_of_losses()
        if self.reduce is not None:
            summed, is_problem = self.reduce(self._gradients.by_name(), problem is not None)
            self._gradients.exchange(summed, self._pending)
            problem = (problem or OF_OTHERS) if is_problem else None
        norm = self._gradients.norm()
        problem = self.watch.problem(norm, problem)
        self.schedule_is_due = True
        if problem is not None and self.restarts.left:
            self._restart(problem)
        elif math.isfinite(norm):
            self._complete()
        else:
            self._leave_out(norm, problem)
        return norm

    def _pending(self, name: str, gradient: FloatsXd) -> Pending:
        """Return a tensor that has gradients in other processes alone."""
        weights, key = self.names.known()[name], self.names.key(name)  # in this order: the first names what had no name
        self.restarts.note(name, weights)
        return Pending(weights, gradient, key, self._contents.get(key))

    def abandon(self) -> None:
        """Forget the step under way: the weights are those of the last one."""
        self._gradients.undo()
        self._gradients.clear()
        self.turns.forget()

    def _complete(self) -> None:
        """Make the step permanent."""
        self._gradients.step(self.grad_clip, self._updated)
        self.steps += 1
        for name, pending in self._gradients:
            if pending.state is not None:
                self.states[name] = pending.state
            if self._averages is not None:
                self._averages.take_in(name, pending.weights, self.steps)
        self._note_rate()
        self._gradients.clear()

    def _updated(
        self, name: str, pending: Pending, weights: FloatsXd, gradient: FloatsXd
    ) -> tuple[FloatsXd, RuleState]:
        part = part_of(pending.key[1])
        rate = self.rate(part) * rate_factors(pending.contents, self.settings.loraplus_ratio, weights)
        size = StepSize(rate, self.settings.weight_decays.get(part, 0.0))
        return self.rule.updated(weights, gradient, self.states.get(name, RuleState()), size, pending.contents)

    def _leave_out(self, norm: float, problem: str | None) -> None:
        """Undo a step whose gradients are not finite.

        RAISES (PTuningError): P409 if there is a problem.
        """
        self._gradients.undo()
        self._gradients.clear()
        if problem is not None:
            rates = self.settings.rates_at(self.restarts.peak)
            raise PTuningError(Errors.P409.format(problem=problem, rates=rates, restarts=self.restarts.n))
        if not self.n_left_out:
            warnings.warn(Warnings.PW10.format(norm=norm, n_bad=BAD_STEPS), stacklevel=4)
        self.n_left_out += 1

    def _restart(self, problem: str) -> None:
        """Reset every tensor to its start, lower the rates, and warn."""
        self.restarts.restart()
        self.steps, self.states = 0, {}
        self._gradients.clear()
        self._averages = None if self._averages is None else Averages()
        self.watch.forget()
        rates = self.settings.rates_at(self.restarts.peak)
        warnings.warn(Warnings.PW08.format(problem=problem, rates=rates, left=self.restarts.left), stacklevel=4)

    def _move_schedule(self) -> None:
        before = self.factor
        self.position += 1
        self.factor = float(self._schedule(self.position))
        if self.factor > before:
            self.watch.forget()
        self.schedule_is_due = False

    def _note_rate(self) -> None:
        """Warn if training continues after the end of the schedule; `spacy train` itself takes one step there."""
        self.n_at_zero = self.n_at_zero + 1 if self.factor == 0.0 else 0
        if self.n_at_zero == 2:
            warnings.warn(Warnings.PW11, stacklevel=5)
