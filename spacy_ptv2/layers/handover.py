"""States that were computed ahead, together with those of other prompts, until the layer asks that they are for.

In: Docs with the states of their pieces. Out: the same, once, if the layer gets those very Docs, tokenised as they
were; otherwise nothing, and the layer computes. So what lies here decides how fast something is, not what comes out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from spacy.tokens import Doc
from thinc.api import get_array_module
from thinc.types import Floats2d

from ..alignment.pieces import Ints1d

# Docs that were computed ahead and never asked for, as when a component is switched off in between.
MAX_WAITING_DOCS = 4096


@dataclass(frozen=True)
class PieceStates:
    """The states of the pieces that tokens stand on.

    states (Floats2d): Tokens in order. Shape: (n_rows, hidden_width). pieces_per_token (Ints1d): Shape: (n_tokens,)
    backprop (Callable | None): Takes the gradient of the states; None if they are a prediction.
    """

    states: Floats2d
    pieces_per_token: Ints1d
    backprop: Callable[[Floats2d], object] | None = None


class Handover:
    """What waits for one layer. Safe under threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._predicted: dict[int, tuple[Doc, Ints1d, PieceStates]] = {}
        self._step: tuple[list[Doc], PieceStates] | None = None

    def give(self, docs: Sequence[Doc], states: Sequence[PieceStates]) -> None:
        """Leave a prediction for each Doc."""
        with self._lock:
            for doc, own in zip(docs, states, strict=True):
                self._predicted[id(doc)] = (doc, _tokenisation(doc), own)
            while len(self._predicted) > max(MAX_WAITING_DOCS, len(docs)):
                del self._predicted[next(iter(self._predicted))]

    def give_step(self, docs: Sequence[Doc], states: PieceStates) -> None:
        """Leave the forward pass of a training step over these Docs."""
        with self._lock:
            self._step = (list(docs), states)

    def take(self, docs: Sequence[Doc], *, is_train: bool) -> PieceStates | None:
        """Return what waits for these Docs, and forget it; None if it is not there for all of them."""
        with self._lock:
            return self._take_step(docs) if is_train else self._take_predicted(docs)

    def _take_step(self, docs: Sequence[Doc]) -> PieceStates | None:
        step, self._step = self._step, None
        if step is None or len(step[0]) != len(docs) or any(a is not b for a, b in zip(step[0], docs, strict=True)):
            return None
        return step[1]

    def _take_predicted(self, docs: Sequence[Doc]) -> PieceStates | None:
        if not self._predicted:
            return None
        found = [self._predicted.pop(id(doc), None) for doc in docs]
        taken = [
            entry[2]
            for doc, entry in zip(docs, found, strict=True)
            if entry is not None and np.array_equal(entry[1], _tokenisation(doc))
        ]
        if len(taken) < len(docs):
            return None
        xp = get_array_module(taken[0].states)
        lengths = np.concatenate([states.pieces_per_token for states in taken])
        return PieceStates(xp.concatenate([states.states for states in taken]), lengths)

    def __deepcopy__(self, memo: dict[int, object]) -> Handover:
        """What waits for a layer does not wait for its copy."""
        return Handover()

    def __reduce__(self) -> tuple[type[Handover], tuple[()]]:
        """As `__deepcopy__`."""
        return Handover, ()


def _tokenisation(doc: Doc) -> Ints1d:
    return doc.to_array(["IDX", "LENGTH"]).astype(np.int64)
