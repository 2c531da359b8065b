"""Exports and imports the state of Thinc's own optimizer, in the shape of `state.py`.

An array is named after its kind and its tensor, such as "mom1/ner/3.W". Schedules are generators that cannot be saved:
a fresh optimizer's are advanced once for each step taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray
from thinc.api import Optimizer

from ..errors import Errors, PTuningError
from .parameters import Parameters
from .tensors import Key, copy_like, copy_to_numpy

KINDS = ("mom1", "mom2", "averages")
RULE = "thinc"


def export_state(optimizer: Optimizer, parameters: Parameters) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return copies of all arrays, and values for JSON. parameters (Parameters): The pipeline's trained tensors."""
    arrays = {
        f"{kind}/{parameters[key].name}": copy_to_numpy(array)
        for kind in KINDS
        for key, array in (getattr(optimizer, kind) or {}).items()
        if key in parameters
    }
    counts = {parameters[key].name: count for key, count in optimizer.nr_update.items() if key in parameters}
    return arrays, {"rule": RULE, "averages": optimizer.averages is not None, "tensor_steps": counts}


def import_state(
    optimizer: Optimizer,
    parameters: Parameters,
    arrays: Mapping[str, NDArray[Any]],
    values: Mapping[str, Any],
    n_steps: int,
) -> None:
    """Restore what `export_state` returned, in a fresh optimizer. n_steps (int): Steps taken so far.

    RAISES (PTuningError): P415 for the state of another optimizer, P416 for that of other tensors.
    """
    for field, expected in {"rule": RULE, "averages": optimizer.averages is not None}.items():
        if values.get(field) != expected:
            raise PTuningError(Errors.P415.format(field=field, expected=expected, got=values.get(field)))
    keys: dict[str, Key] = {parameter.name: key for key, parameter in parameters.items()}
    for name, array in arrays.items():
        kind, _, tensor = name.partition("/")
        if kind not in KINDS or tensor not in keys:
            raise PTuningError(Errors.P416.format(got=name, shape=array.shape, expected=", ".join(sorted(keys))))
        getattr(optimizer, kind)[keys[tensor]] = copy_like(parameters[keys[tensor]].weights, array)
    for tensor, count in values["tensor_steps"].items():
        optimizer.nr_update[keys[tensor]] = count
    for _ in range(n_steps):
        optimizer.step_schedules()
