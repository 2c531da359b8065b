"""Precomputed values, keyed by Doc and consumed once.

In: Docs with what belongs to each. Out: the same, once, if the layer gets those very Docs, tokenised as they were;
otherwise nothing, and the layer does without. So what lies here decides how fast something is, not what comes out.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from spacy.attrs import IDX, LENGTH
from spacy.tokens import Doc
from thinc.types import Floats2d

from ..alignment.pieces import Ints1d

# What nobody asks for, as when a component is switched off in between, goes with its Doc; beyond this the oldest go.
MAX_WAITING_TOKENS = 1 << 18

T = TypeVar("T")


@dataclass(frozen=True)
class PieceHiddenStates:
    """The hidden states that the rows of a layer are pooled from.

    states (Floats2d): Those of all rows, in order. Shape: (n_states, hidden_width)
    lengths (Ints1d): How many of them each row has. Shape: (n_rows,)
    per_sequence (Ints1d): Rows of each sequence. Shape: (n_sequences,)
    made_of (Hashable): See `WindowEncoding.made_of`; a list of one for each Doc if there are several.
    backprop (Callable | None): Takes the gradient of the states; None if they are a prediction.
    """

    states: Floats2d
    lengths: Ints1d
    per_sequence: Ints1d
    made_of: Any = None
    backprop: Callable[[Floats2d], object] | None = None


@dataclass(frozen=True)
class _Waiting(Generic[T]):
    """A value, the Doc that it is for, and how that was tokenised."""

    doc: weakref.ref[Doc]
    n_tokens: int
    tokenisation: bytes
    value: T

    def is_for(self, doc: Doc) -> bool:
        """Return whether a Doc is that one, with the same tokens."""
        return self.doc() is doc and self.tokenisation == _tokenisation(doc)


class Precomputed(Generic[T]):
    """What waits for one layer, by Doc. Safe under threads; keeps no Doc alive."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a Doc may be collected, and drop its entry, while this thread holds it
        self._waiting: dict[int, _Waiting[T]] = {}
        self._n_tokens = 0

    def give(self, docs: Sequence[Doc], values: Sequence[T]) -> None:
        """Leave a value for each Doc."""
        with self._lock:
            for doc, value in zip(docs, values, strict=True):
                key = id(doc)
                self._drop(key)
                gone = weakref.ref(doc, partial(self._forget, key))
                self._waiting[key] = _Waiting(gone, len(doc), _tokenisation(doc), value)
                self._n_tokens += len(doc)
            while self._n_tokens > MAX_WAITING_TOKENS and len(self._waiting) > len(docs):
                self._drop(next(iter(self._waiting)))

    def take(self, docs: Sequence[Doc]) -> list[T] | None:
        """Return what waits for these Docs, and forget it; None unless it is there for all of them."""
        with self._lock:
            if not self._waiting:
                return None
            found = [self._drop(id(doc)) for doc in docs]
        taken = [entry.value for doc, entry in zip(docs, found, strict=True) if entry is not None and entry.is_for(doc)]
        return taken if len(taken) == len(docs) else None

    def _drop(self, key: int) -> _Waiting[T] | None:
        entry = self._waiting.pop(key, None)
        if entry is not None:
            self._n_tokens -= entry.n_tokens
        return entry

    def _forget(self, key: int, doc: weakref.ref[Doc]) -> None:
        """Drop the entry of a Doc that is gone, unless its number is another one's by now."""
        with self._lock:
            if key in self._waiting and self._waiting[key].doc is doc:
                self._drop(key)

    def __deepcopy__(self, memo: dict[int, object]) -> Precomputed[T]:
        """What waits for a layer does not wait for its copy."""
        return Precomputed()

    def __reduce__(self) -> tuple[type[Precomputed[T]], tuple[()]]:
        """As `__deepcopy__`."""
        return Precomputed, ()


def _tokenisation(doc: Doc) -> bytes:
    """Return where each token starts and how long it is."""
    tokenisation: bytes = doc.to_array([IDX, LENGTH]).tobytes()
    return tokenisation
