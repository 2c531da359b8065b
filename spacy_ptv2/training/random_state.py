"""The states of all random generators that training uses: captured, restored, and as arrays for a file."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

PYTHON, NUMPY, TORCH, GPU = "python", "numpy", "torch", "gpu"


@dataclass(frozen=True)
class RandomState:
    """The states of all generators. of_gpus (tuple): Those of torch, one per GPU."""

    of_python: tuple[Any, ...]
    of_numpy: Any
    of_torch: torch.Tensor
    of_gpus: tuple[torch.Tensor, ...]

    @classmethod
    def capture(cls) -> RandomState:
        """Return the current states."""
        of_gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
        return cls(random.getstate(), np.random.get_state(), torch.get_rng_state(), tuple(of_gpus))

    def restore(self) -> None:
        """Set all generators to these states."""
        random.setstate(self.of_python)
        np.random.set_state(self.of_numpy)
        torch.set_rng_state(self.of_torch)
        if self.of_gpus:
            torch.cuda.set_rng_state_all(list(self.of_gpus))

    def export(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return arrays by name, and values for JSON."""
        python, normal = array_of_python(self.of_python)
        _, keys, position, has_normal, cached_normal = self.of_numpy
        arrays = {PYTHON: python, NUMPY: keys, TORCH: self.of_torch.numpy()}
        arrays.update({f"{GPU}{number}": state.numpy() for number, state in enumerate(self.of_gpus)})
        return arrays, {PYTHON: normal, NUMPY: [int(position), int(has_normal), float(cached_normal)]}

    @classmethod
    def load(cls, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> RandomState:
        """Return what `export` took apart. RAISES (LookupError, TypeError, ValueError): If it is something else."""
        position, has_normal, cached_normal = values[NUMPY]
        of_gpus = [torch.from_numpy(arrays[name].copy()) for name in sorted(arrays) if name.startswith(GPU)]
        return cls(
            python_of_array(arrays[PYTHON], values[PYTHON]),
            ("MT19937", arrays[NUMPY], position, has_normal, cached_normal),
            torch.from_numpy(arrays[TORCH].copy()),
            tuple(of_gpus),
        )


@contextmanager
def random_numbers_kept() -> Iterator[None]:
    """Let all generators continue afterwards where they were before, whatever is drawn in between."""
    before = RandomState.capture()
    try:
        yield
    finally:
        before.restore()


def array_of_python(state: tuple[Any, ...]) -> tuple[NDArray[np.uint32], float | None]:
    """Return the state of Python's generator as an array, and the normal number that it holds ready, if any."""
    _, words, normal = state
    return np.array(words, dtype=np.uint32), normal


def python_of_array(array: NDArray[Any], normal: float | None) -> tuple[Any, ...]:
    """Return what `array_of_python` took apart."""
    return 3, tuple(int(word) for word in array), normal  # 3 is the version of the form, in all of Python 3
