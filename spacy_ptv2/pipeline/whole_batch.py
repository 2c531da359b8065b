"""The batch that several processes share, for heads that average their loss: over all of it, not over a part.

In: the examples of the whole batch, from the loop. Out: the same, for a head, which scales its gradient by its share of
the rows: the sum over all processes is then the gradient of the whole batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from weakref import WeakKeyDictionary

from spacy.tokens import Doc
from spacy.training import Example

_whole: ContextVar[Sequence[Example] | None] = ContextVar("whole_batch", default=None)


@contextmanager
def part_of(examples: Sequence[Example]) -> Iterator[None]:
    """Let what is learned from in this context be a part of a larger batch."""
    token = _whole.set(examples)
    try:
        yield
    finally:
        _whole.reset(token)


def whole_batch() -> Sequence[Example] | None:
    """Return the examples of the whole batch; None if what is learned from is all of it."""
    return _whole.get()


class Counts(WeakKeyDictionary[Doc, int]):
    """Numbers of Docs, which it does not keep alive. A copy is empty."""

    def __reduce__(self) -> tuple[type[Counts], tuple[()]]:
        return Counts, ()
