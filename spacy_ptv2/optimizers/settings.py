"""Settings of optimizers: peak rates per part, decay, restarts. Checks which values are possible."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import Errors, PTuningError, Warnings
from ..parameter_groups import PARTS

# Rates that are known to have trained well: 1e-4 (with an MLP) to 6e-2, for prompt and head, in the authors' scripts,
# and others in docs/experiments/recipes.md.
WORKED = {
    "prompt": (1e-4, 0.3),
    "lora": (1e-4, 1e-2),
    "scalar_mix": (1e-4, 0.1),
    "word_shape": (1e-4, 0.1),
    "head": (1e-4, 0.1),
}


@dataclass(frozen=True)
class StepSettings:
    """Peak learning rates and decoupled weight decay per part (see `PARTS`), clipping, restarts, averages."""

    learn_rates: Mapping[str, float]
    weight_decays: Mapping[str, float] = field(default_factory=dict)
    grad_clip: float = 1.0
    restarts: int = 3
    use_averages: bool = True

    def rates_at(self, share: float) -> str:
        """Return a share of the peak rates, for messages."""
        return ", ".join(f"{part} {rate * share:.2g}" for part, rate in self.learn_rates.items())


def check_learn_rates(learn_rates: Mapping[str, float], weight_decays: Mapping[str, float], restarts: int) -> None:
    """Refuse impossible settings, and warn about rates not known to train well; a rate of 0 freezes a part.

    learn_rates, weight_decays (Mapping): What a config has. A value can be text there: ".001" is no number in JSON.
    RAISES (PTuningError): P405, P407.
    """
    if restarts < 0:
        raise PTuningError(Errors.P407.format(name="restarts", expected="at least 0", got=restarts))
    if set(learn_rates) != set(PARTS):
        raise PTuningError(Errors.P405.format(expected=", ".join(PARTS), got=", ".join(sorted(learn_rates))))
    if not set(weight_decays) <= set(PARTS):
        raise PTuningError(Errors.P405.format(expected=", ".join(PARTS), got=", ".join(sorted(weight_decays))))
    for setting, values in (("learn_rates", learn_rates), ("weight_decays", weight_decays)):
        for part, got in values.items():
            if not isinstance(got, int | float) or not 0 <= got < math.inf:
                name, expected = f"[training.optimizer.{setting}] {part}", "a number, at least 0, such as 0.001"
                raise PTuningError(Errors.P407.format(name=name, expected=expected, got=repr(got)))
    for part, (least, most) in WORKED.items():
        if learn_rates[part] and not least <= learn_rates[part] <= most:
            message = Warnings.PW09.format(part=part, got=f"{learn_rates[part]:g}", least=least, most=most)
            warnings.warn(message, stacklevel=3)
