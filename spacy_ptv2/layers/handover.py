"""What was computed ahead for Docs, until the layer asks that it is for.

In: Docs with what belongs to each. Out: the same, once, if the layer gets those very Docs, tokenised as they were;
otherwise nothing, and the layer does without. So what lies here decides how fast something is, not what comes out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from spacy.tokens import Doc
from thinc.types import Floats2d

from ..alignment.pieces import Ints1d

# Nobody asks for some Docs, as when a component is switched off in between: the oldest go first.
MAX_WAITING_TOKENS = 1 << 18

T = TypeVar("T")


@dataclass(frozen=True)
class PieceStates:
    """The states of the pieces that tokens stand on.

    states (Floats2d): Tokens in order. Shape: (n_rows, hidden_width). pieces_per_token (Ints1d): Shape: (n_tokens,)
    backprop (Callable | None): Takes the gradient of the states; None if they are a prediction.
    """

    states: Floats2d
    pieces_per_token: Ints1d
    backprop: Callable[[Floats2d], object] | None = None


class Handover(Generic[T]):
    """What waits for one layer, by Doc. Safe under threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[Doc, Ints1d, T]] = {}
        self._n_tokens = 0

    def give(self, docs: Sequence[Doc], values: Sequence[T]) -> None:
        """Leave a value for each Doc."""
        with self._lock:
            for doc, value in zip(docs, values, strict=True):
                self._drop(id(doc))
                self._waiting[id(doc)] = (doc, _tokenisation(doc), value)
                self._n_tokens += len(doc)
            n_old = len(self._waiting) - len(docs)
            for key in list(self._waiting)[: max(0, n_old)]:
                if self._n_tokens > MAX_WAITING_TOKENS:
                    self._drop(key)

    def take(self, docs: Sequence[Doc]) -> list[T] | None:
        """Return what waits for these Docs, and forget it; None unless it is there for all of them."""
        with self._lock:
            if not self._waiting:
                return None
            found = [self._drop(id(doc)) for doc in docs]
        taken = [
            entry[2]
            for doc, entry in zip(docs, found, strict=True)
            if entry is not None and np.array_equal(entry[1], _tokenisation(doc))
        ]
        return taken if len(taken) == len(docs) else None

    def _drop(self, key: int) -> tuple[Doc, Ints1d, T] | None:
        entry = self._waiting.pop(key, None)
        if entry is not None:
            self._n_tokens -= len(entry[1])
        return entry

    def __deepcopy__(self, memo: dict[int, object]) -> Handover[T]:
        """What waits for a layer does not wait for its copy."""
        return Handover()

    def __reduce__(self) -> tuple[type[Handover[T]], tuple[()]]:
        """As `__deepcopy__`."""
        return Handover, ()


def _tokenisation(doc: Doc) -> Ints1d:
    """Return where each token starts and how long it is. Shape: (n_tokens, 2)"""
    table: Ints1d = doc.to_array(["IDX", "LENGTH"]).astype(np.int64)
    return table
