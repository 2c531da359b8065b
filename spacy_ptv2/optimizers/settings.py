"""Settings of optimizers: peak rates per part, decay, restarts. Checks which values are possible."""

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ..errors import Errors, PTuningError, Warnings
from ..parameter_groups import PARTS
from ..reading import is_number

# Rates that are known to have trained well: 1e-4 (with an MLP) to 6e-2, for prompt and head, in the authors' scripts,
# and others in docs/experiments/recipes.md.
WORKED = {
    "prompt": (1e-4, 0.3),
    "lora": (1e-4, 1e-2),
    "scalar_mix": (1e-4, 0.1),
    "word_shape": (1e-4, 0.1),
    "head": (1e-4, 0.1),
}
LORAPLUS_RATIO = 1.0  # that of LoRA


@dataclass(frozen=True)
class StepSettings:
    """Peak learning rates and decoupled weight decay per part (see `PARTS`), clipping, restarts, averages.

    learn_rates, weight_decays (Mapping): What a config has. A value can be text there: ".001" is no number in JSON.
    loraplus_ratio (float): The rate of LoRA's B in terms of `learn_rates["lora"]`, which is that of A.
    """

    learn_rates: Mapping[str, float]
    weight_decays: Mapping[str, float] = field(default_factory=dict)
    grad_clip: float = 1.0
    restarts: int = 3
    use_averages: bool = True
    loraplus_ratio: float = LORAPLUS_RATIO

    def rates_at(self, share: float) -> str:
        """Return a share of the peak rates, for messages."""
        return ", ".join(f"{part} {rate * share:.2g}" for part, rate in self.learn_rates.items())

    def check(self) -> None:
        """Refuse impossible settings, and warn about rates not known to train well; a rate of 0 freezes a part.

        RAISES (PTuningError): P405, P407.
        """
        for values in (self.learn_rates, self.weight_decays):
            if not set(values) <= set(PARTS) or (values is self.learn_rates and len(values) < len(PARTS)):
                raise PTuningError(Errors.P405.format(expected=", ".join(PARTS), got=", ".join(sorted(values))))
        for name, got in self._numbers():
            if not is_number(got) or not 0 <= got < math.inf:
                raise PTuningError(Errors.P407.format(name=name, expected="a number, at least 0", got=repr(got)))
        for part, (least, most) in WORKED.items():
            if self.learn_rates[part] and not least <= self.learn_rates[part] <= most:
                message = Warnings.PW09.format(part=part, got=f"{self.learn_rates[part]:g}", least=least, most=most)
                warnings.warn(message, stacklevel=3)

    def _numbers(self) -> Iterator[tuple[str, object]]:
        """Yield each setting's name in the optimizer's block, and its value."""
        for name, values in (("learn_rates", self.learn_rates), ("weight_decays", self.weight_decays)):
            yield from ((f"{name}.{part}", value) for part, value in values.items())
        yield from (("grad_clip", self.grad_clip), ("restarts", self.restarts), ("loraplus_ratio", self.loraplus_ratio))
