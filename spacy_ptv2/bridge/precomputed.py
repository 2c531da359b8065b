"""Precomputed values, keyed by Doc and consumed once.

In: Docs with a value for each. Out: the same values, once, if a layer is given those very Docs with the same tokens;
otherwise nothing, and the layer computes them itself. So precomputed values affect speed, never results.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from spacy.attrs import IDX, LENGTH
from spacy.tokens import Doc
from thinc.types import Floats2d

from ..alignment.pieces import Ints1d

# Values that nobody takes, for example because a component was disabled, go with their Docs. Beyond this many tokens
# the oldest are dropped.
MAX_WAITING_TOKENS = 1 << 18

T = TypeVar("T")
MadeOf = Callable[[Doc], Hashable]


def _tokens_alone(doc: Doc) -> Hashable:
    return None


@dataclass(frozen=True)
class PieceHiddenStates:
    """The hidden states that the rows of a layer are pooled from.

    states (Floats2d): The hidden states of all rows, in order. Shape: (n_states, hidden_width)
    lengths (Ints1d): Number of hidden states of each row. Shape: (n_rows,)
    per_sequence (Ints1d): Number of rows of each sequence. Shape: (n_sequences,)
    backprop (Callable | None): Takes the gradient of `states`; None if they are a prediction.
    """

    states: Floats2d
    lengths: Ints1d
    per_sequence: Ints1d
    backprop: Callable[[Floats2d], object] | None = None


@dataclass(frozen=True)
class _Waiting(Generic[T]):
    """A value, the Doc that it is for, the Doc's tokens, and what else of the Doc the value depends on."""

    doc: weakref.ref[Doc]
    n_tokens: int
    tokenisation: bytes
    made_of: Hashable
    value: T

    def is_for(self, doc: Doc, made_of: Hashable) -> bool:
        """Return whether a Doc is that one, and nothing that the value depends on has changed."""
        return self.doc() is doc and self.made_of == made_of and self.tokenisation == tokenisation_of(doc)


class Precomputed(Generic[T]):
    """Values that wait for one layer, by Doc. Thread-safe. Keeps no Doc alive."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # reentrant: a Doc may be collected, and drop its entry, while it is held
        self._waiting: dict[int, _Waiting[T]] = {}
        self._n_tokens = 0

    def give(self, docs: Sequence[Doc], values: Sequence[T], made_of: MadeOf = _tokens_alone) -> None:
        """Store a value for each Doc. made_of (MadeOf): What of a Doc the value depends on besides its tokens."""
        with self._lock:
            for doc, value in zip(docs, values, strict=True):
                key = id(doc)
                self._drop(key)
                gone = weakref.ref(doc, partial(self._forget, key))
                self._waiting[key] = _Waiting(gone, len(doc), tokenisation_of(doc), made_of(doc), value)
                self._n_tokens += len(doc)
            while self._n_tokens > MAX_WAITING_TOKENS and len(self._waiting) > len(docs):
                self._drop(next(iter(self._waiting)))

    def take(self, docs: Sequence[Doc], made_of: MadeOf = _tokens_alone) -> list[T] | None:
        """Return and remove the values of these Docs; None unless all of them have one that is still valid."""
        with self._lock:
            if not self._waiting:
                return None
            found = [self._drop(id(doc)) for doc in docs]
        pairs = zip(docs, found, strict=True)
        taken = [entry.value for doc, entry in pairs if entry is not None and entry.is_for(doc, made_of(doc))]
        return taken if len(taken) == len(docs) else None

    def _drop(self, key: int) -> _Waiting[T] | None:
        entry = self._waiting.pop(key, None)
        if entry is not None:
            self._n_tokens -= entry.n_tokens
        return entry

    def _forget(self, key: int, doc: weakref.ref[Doc]) -> None:
        """Drop the entry of a Doc that was collected, unless another Doc has its id by now."""
        with self._lock:
            if key in self._waiting and self._waiting[key].doc is doc:
                self._drop(key)

    def __deepcopy__(self, memo: dict[int, object]) -> Precomputed[T]:
        """Return an empty one: what waits for a layer does not wait for its copy."""
        return Precomputed()

    def __reduce__(self) -> tuple[type[Precomputed[T]], tuple[()]]:
        """As `__deepcopy__`."""
        return Precomputed, ()


def tokenisation_of(doc: Doc) -> bytes:
    """Return the offset and length of each token."""
    tokenisation: bytes = doc.to_array([IDX, LENGTH]).tobytes()
    return tokenisation
