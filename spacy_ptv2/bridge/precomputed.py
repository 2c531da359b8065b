"""Precomputed values, keyed by Doc and consumed once.

In: Docs with what belongs to each. Out: the same, once, if the layer gets those very Docs, tokenised as they were;
otherwise nothing, and the layer does without. So what lies here decides how fast something is, not what comes out.
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

# What nobody asks for, as when a component is switched off in between, goes with its Doc; beyond this the oldest go.
MAX_WAITING_TOKENS = 1 << 18

T = TypeVar("T")
MadeOf = Callable[[Doc], Hashable]


def _tokens_alone(doc: Doc) -> Hashable:
    return None


@dataclass(frozen=True)
class PieceHiddenStates:
    """The hidden states that the rows of a layer are pooled from.

    states (Floats2d): Those of all rows, in order. Shape: (n_states, hidden_width)
    lengths (Ints1d): How many of them each row has. Shape: (n_rows,)
    per_sequence (Ints1d): Rows of each sequence. Shape: (n_sequences,)
    backprop (Callable | None): Takes the gradient of the states; None if they are a prediction.
    """

    states: Floats2d
    lengths: Ints1d
    per_sequence: Ints1d
    backprop: Callable[[Floats2d], object] | None = None


@dataclass(frozen=True)
class _Waiting(Generic[T]):
    """A value, the Doc that it is for, how that was tokenised, and what else of it decides on the value."""

    doc: weakref.ref[Doc]
    n_tokens: int
    tokenisation: bytes
    made_of: Hashable
    value: T

    def is_for(self, doc: Doc, made_of: Hashable) -> bool:
        """Return whether a Doc is that one, with the same tokens and the same of what else decides."""
        return self.doc() is doc and self.made_of == made_of and self.tokenisation == _tokenisation(doc)


class Precomputed(Generic[T]):
    """What waits for one layer, by Doc. Safe under threads; keeps no Doc alive."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a Doc may be collected, and drop its entry, while this thread holds it
        self._waiting: dict[int, _Waiting[T]] = {}
        self._n_tokens = 0

    def give(self, docs: Sequence[Doc], values: Sequence[T], made_of: MadeOf = _tokens_alone) -> None:
        """Leave a value for each Doc. made_of (MadeOf): What of a Doc decides on it, in addition to its tokens."""
        with self._lock:
            for doc, value in zip(docs, values, strict=True):
                key = id(doc)
                self._drop(key)
                gone = weakref.ref(doc, partial(self._forget, key))
                self._waiting[key] = _Waiting(gone, len(doc), _tokenisation(doc), made_of(doc), value)
                self._n_tokens += len(doc)
            while self._n_tokens > MAX_WAITING_TOKENS and len(self._waiting) > len(docs):
                self._drop(next(iter(self._waiting)))

    def take(self, docs: Sequence[Doc], made_of: MadeOf = _tokens_alone) -> list[T] | None:
        """Return what waits for these Docs, and forget it; None unless it is there for all of them, as they now are."""
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
