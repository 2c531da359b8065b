"""Signals that end a training: it is told to stop after the step under way, so that it can write a checkpoint."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A training ended because of a signal, after it had written a checkpoint. number (int): Of the signal."""

    def __init__(self, number: int, n_steps: int) -> None:
        super().__init__(f"{signal.Signals(number).name} after {n_steps} steps")
        self.number = number
        self.n_steps = n_steps


class Interruption:
    """A context in which Ctrl-C and SIGTERM are noted; a second Ctrl-C acts as it always does.

    A second SIGTERM does not: a launcher sends one to processes that Ctrl-C has reached already.

    number (int | None): Of the signal that came. Other threads than the main one cannot be told of signals.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number is None:
            self.number = number
            signal.signal(signal.SIGINT, self._before.get(signal.SIGINT, signal.default_int_handler))
