"""Which layers have had their turn in the current step, and whose gradients are still to come."""

from __future__ import annotations

from collections.abc import Callable


class Turns:
    """Tracks that a layer's component finishes once per step, sometimes before the layer has its gradients."""

    def __init__(self) -> None:
        self._had: set[int] = set()
        self._awaited: list[Callable[[], None]] = []

    def __bool__(self) -> bool:
        """Return whether a step is under way."""
        return bool(self._had or self._awaited)

    def __contains__(self, layer: int) -> bool:
        """Return whether a layer had its turn. layer (int): Its number."""
        return layer in self._had

    def take(self, layer: int) -> None:
        """Let a layer have its turn."""
        self._had.add(layer)

    def await_gradients(self, hand_over: Callable[[], None]) -> None:
        """Record gradients to come. hand_over (Callable): Called for them by the end of the step."""
        self._awaited.append(hand_over)

    def forget(self) -> None:
        """Forget the step under way."""
        self._awaited, self._had = [], set()

    def end(self) -> None:
        """Ask for all gradients that are still to come, so that another step can begin."""
        awaited, self._awaited = self._awaited, []
        for hand_over in awaited:
            hand_over()
        self._had = set()
