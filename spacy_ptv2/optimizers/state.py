"""Exports and imports an optimizer's state: named arrays for a file of tensors, and values for JSON.

An array is named after its kind and its tensor: "average/ner/3.W"; "start/ner/3.W", the values before the first step;
"rule/first/ner/3.W", the array that the update rule calls "first".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from ..errors import Errors, PTuningError
from .averaging import Averages
from .restarts import Start
from .rules import RuleState
from .tensors import copy_like, copy_to_numpy

if TYPE_CHECKING:
    from .base import StepOptimizer

AVERAGE, START, RULE = "average", "start", "rule"
COUNTS = ("position", "schedule_is_due", "steps", "n_at_zero", "n_left_out")


def export_state(optimizer: StepOptimizer, averages: Averages | None) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return copies of all arrays, and the values; see `StepOptimizer.state`."""
    arrays = {f"{START}/{name}": start.values for name, start in optimizer.restarts.starts.items()}
    if averages is not None:
        arrays.update({f"{AVERAGE}/{name}": array for name, array in averages.arrays.items()})
    for name, state in optimizer.states.items():
        arrays.update({f"{RULE}/{kind}/{name}": array for kind, array in state.arrays.items()})
    values = {
        "rule": optimizer.rule.name,
        "averages": averages is not None,
        "restarts": optimizer.restarts.n,
        "tensor_steps": {name: state.steps for name, state in optimizer.states.items()},
        "watch": optimizer.watch.state(),
        **{count: getattr(optimizer, count) for count in COUNTS},
    }
    return {name: copy_to_numpy(array) for name, array in sorted(arrays.items())}, values


def import_state(
    optimizer: StepOptimizer, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]
) -> Averages | None:
    """Restore what `export_state` returned. RETURNS (Averages | None): The averages, if the optimizer keeps any.

    RAISES (PTuningError): P415 for the state of another optimizer, P416 for that of other tensors.
    """
    own = {"rule": optimizer.rule.name, "averages": optimizer.settings.use_averages}
    for field, expected in own.items():
        if values.get(field) != expected:
            raise PTuningError(Errors.P415.format(field=field, expected=expected, got=values.get(field)))
    missing = {*COUNTS, "restarts", "tensor_steps", "watch"} - set(values)
    if missing:
        raise PTuningError(Errors.P415.format(field=min(missing), expected="a value", got=None))
    weights = optimizer.names.known()
    by_kind: dict[str, dict[str, Any]] = {AVERAGE: {}, START: {}, RULE: {}}
    for key, array in arrays.items():
        kind, _, name = key.partition("/")
        tensor = name.partition("/")[2] if kind == RULE else name
        if kind not in by_kind or tensor not in weights or weights[tensor].shape != array.shape:
            raise PTuningError(Errors.P416.format(got=key, shape=array.shape, expected=", ".join(sorted(weights))))
        by_kind[kind][name] = copy_like(weights[tensor], array)
    optimizer.restarts.starts = {name: Start(weights[name], array) for name, array in by_kind[START].items()}
    optimizer.restarts.n = values["restarts"]
    optimizer.states = _rule_states(by_kind[RULE], values["tensor_steps"])
    optimizer.watch.load_state(values["watch"])
    for count in COUNTS:
        setattr(optimizer, count, values[count])
    averages = Averages() if own["averages"] else None
    if averages is not None:
        averages.arrays = by_kind[AVERAGE]
    return averages


def _rule_states(arrays: Mapping[str, Any], steps: Mapping[str, int]) -> dict[str, RuleState]:
    """Return the rule's states by tensor. arrays (Mapping): By kind and tensor, such as "first/ner/3.W"."""
    by_tensor: dict[str, dict[str, Any]] = {name: {} for name in steps}
    for key, array in arrays.items():
        kind, _, tensor = key.partition("/")
        by_tensor[tensor][kind] = array
    return {name: RuleState(own, steps[name]) for name, own in by_tensor.items()}
