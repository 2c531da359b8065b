"""Training that runs out of memory: the error names the settings to lower."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..errors import Errors, PTuningError

NAME = "OutOfMemoryError"  # of the errors of torch and CuPy, on a GPU
PHRASES = ("can't allocate memory", "not enough memory")  # in torch's error on a CPU


@contextmanager
def saying_what_to_lower(config: Mapping[str, Any]) -> Iterator[None]:
    """RAISES (PTuningError): P815 in place of an error about memory, with the config's settings that decide on it."""
    try:
        yield
    except Exception as error:
        if not _is_about_memory(error):
            raise
        training = config["training"]
        settings = {
            "[training.batcher] size": training["batcher"].get("size", "not set"),
            "[nlp] batch_size": config["nlp"].get("batch_size", "not set"),
            "[training] accumulate_gradient": training["accumulate_gradient"],
        }
        now = ", ".join(f"{name} = {value}" for name, value in settings.items())
        raise PTuningError(Errors.P815.format(error=error, now=now)) from error


def _is_about_memory(error: Exception) -> bool:
    is_cpu = isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in PHRASES)
    return is_cpu or isinstance(error, MemoryError) or type(error).__name__ == NAME
