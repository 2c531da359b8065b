"""What a search may vary: settings of a config, and which values each may have.

In: a JSON object from dotted settings to {"low": ..., "high": ...}, with "log" or "step", or to {"choices": [...]}.
Out: distributions, checked against the config, that ask a trial of Optuna for a value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thinc.api import Config

from ..errors import Errors, PTuningError
from ..reading import is_number, read_object
from ..training.trials import is_shared

if TYPE_CHECKING:
    from optuna import Trial

RANGE, CHOICES = {"low", "high", "log", "step"}, {"choices"}
MISSING = object()  # the value of a setting that the config does not have


@dataclass(frozen=True)
class Range:
    """Numbers between two bounds, which are included; whole numbers if all of these are written without a point.

    low, high (float): The bounds. log (bool): Whether each magnitude is as likely as the others.
    step (float | None): The distance between values; whole numbers have 1 without it.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    @property
    def is_whole(self) -> bool:
        """Whether its values are whole numbers."""
        return all(isinstance(number, int) for number in (self.low, self.high, self.step or 1))

    def suggest(self, trial: Trial, setting: str) -> float:
        """Ask a trial for a value."""
        if self.is_whole:
            return trial.suggest_int(setting, int(self.low), int(self.high), step=int(self.step or 1), log=self.log)
        return trial.suggest_float(setting, self.low, self.high, step=self.step, log=self.log)

    def __str__(self) -> str:
        step = "" if self.step is None else f" in steps of {self.step}"
        return f"{self.low} to {self.high}{step}"

    def known(self, value: Any) -> float | None:
        """Return what Optuna knows a value of the config by; None if it is outside."""
        if not is_number(value) or not self.low <= value <= self.high or (self.is_whole and value != int(value)):
            return None
        if self.step is not None:
            n_steps = (value - self.low) / self.step
            if abs(n_steps - round(n_steps)) > 1e-6:
                return None
        return int(value) if self.is_whole else float(value)

    def value_of(self, known: Any) -> Any:
        """Return the value of the setting that Optuna knows by this."""
        return known


@dataclass(frozen=True)
class Choice:
    """Some values of any kind. Optuna knows each by its JSON, in which 1, 1.0, "1" and true differ."""

    values: tuple[Any, ...]

    def suggest(self, trial: Trial, setting: str) -> Any:
        """Ask a trial for a value."""
        return self.value_of(trial.suggest_categorical(setting, [json.dumps(value) for value in self.values]))

    def __str__(self) -> str:
        return json.dumps(self.values)

    def known(self, value: Any) -> str | None:
        """Return what Optuna knows a value of the config by; None if it is not among the choices."""
        equal = (one for one in self.values if one == value and isinstance(one, bool) == isinstance(value, bool))
        return next((json.dumps(one) for one in equal), None)

    def value_of(self, known: Any) -> Any:
        """Return the value of the setting that Optuna knows by this."""
        return json.loads(known)


Distribution = Range | Choice
Space = dict[str, Distribution]


def read_space(path: Path) -> Space:
    """Read the JSON file of a space.

    RAISES (PTuningError): P841 if it is no JSON object with settings, P842 for a distribution that cannot be.
    """
    try:
        found = read_object(path)
    except (OSError, ValueError) as error:
        raise PTuningError(Errors.P841.format(path=path, got=error)) from error
    if not found:
        raise PTuningError(Errors.P841.format(path=path, got="an empty object"))
    return {setting: build_distribution(setting, given) for setting, given in found.items()}


def build_distribution(setting: str, given: Any) -> Distribution:
    """Build the distribution of one setting. RAISES (PTuningError): P842."""
    names = set(given) if isinstance(given, dict) else set()
    if names == CHOICES:
        return _choice(setting, given["choices"])
    if {"low", "high"} <= names <= RANGE:
        return _range(setting, given)
    raise _refusal(setting, "it is neither a range nor a choice", given)


def _choice(setting: str, values: Any) -> Choice:
    if not isinstance(values, list) or len({json.dumps(value) for value in values}) < max(2, len(values)):
        raise _refusal(setting, "choices are a list of at least two different values", values)
    return Choice(tuple(values))


def _range(setting: str, given: Mapping[str, Any]) -> Range:
    low, high, log, step = given["low"], given["high"], given.get("log", False), given.get("step")
    if not all(map(is_number, (low, high, 1 if step is None else step))):
        raise _refusal(setting, "low, high and step are numbers", given)
    if not isinstance(log, bool):
        raise _refusal(setting, "log is true or false", given)
    if low >= high:
        raise _refusal(setting, "low must be less than high", given)
    if log and low <= 0:
        raise _refusal(setting, "with log, low must be greater than 0", given)
    if log and step is not None:
        raise _refusal(setting, "a range has log or step, not both", given)
    if step is not None and not 0 < step <= high - low:
        raise _refusal(setting, "step must be greater than 0 and at most high - low", given)
    return Range(low, high, log, step)


def check_space(space: Space, config: Config) -> None:
    """Refuse a space that does not fit a config or trials of one pass.

    config (Config): Interpolated. RAISES (PTuningError): P842, P843.
    """
    for setting, distribution in space.items():
        if is_shared(setting):
            raise PTuningError(Errors.P843.format(setting=setting))
        value = value_in(config, setting)
        if isinstance(value, Mapping):
            raise _refusal(setting, f"it is a block, and only single settings vary, such as {setting}.NAME", [*value])
        is_float = isinstance(value, float) and not value.is_integer()
        if isinstance(distribution, Range) and distribution.is_whole and is_float:
            problem = f"the config has {value}, but a range without a point in its bounds has whole numbers alone"
            raise _refusal(setting, problem, {"low": distribution.low, "high": distribution.high})


def value_in(config: Mapping[str, Any], setting: str) -> Any:
    """Return the value that a config has for a dotted setting, or `MISSING`."""
    block: Any = config
    for name in setting.split("."):
        if not isinstance(block, Mapping) or name not in block:
            return MISSING
        block = block[name]
    return block


def _refusal(setting: str, problem: str, got: Any) -> PTuningError:
    return PTuningError(Errors.P842.format(setting=setting, problem=problem, got=json.dumps(got)))
