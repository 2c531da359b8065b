"""Which layers have had their turn in the current step, and whose gradients are still to come."""

from __future__ import annotations

from collections.abc import Callable


class Turns:
    """A layer's component finishes once in each step, sometimes before the layer has its gradients."""

    def __init__(self) -> None:
        self._had: set[int] = set()
        self._awaited: list[Callable[[], None]] = []

    def __bool__(self) -> bool:
        """Return whether a step is under way."""
        return bool(self._had or self._awaited)

    def __contains__(self, layer: int) -> bool:
        """Return whether a layer had its turn. layer (int): By its number."""
        return layer in self._had

    def take(self, layer: int) -> None:
        """Let a layer have its turn."""
        self._had.add(layer)

    def await_gradients(self, hand_over: Callable[[], None]) -> None:
        """Note gradients to come. hand_over (Callable): Called for them when the step ends, if not before."""
        self._awaited.append(hand_over)

    def end(self) -> None:
        """Ask for all gradients that are still to come; then another step begins."""
        awaited, self._awaited = self._awaited, []
        for hand_over in awaited:
            hand_over()
        self._had = set()
