"""Scores of the sequences of Docs, a bounded number of rows at a time.

In: a model whose encoder has a layout, and Docs with what they are asked. Out: the scores of each sequence. A Doc with
more sequences than memory should hold is read in copies with some of them each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc
from thinc.api import Model

from ..alignment.sequences import InputSequence, Layout
from ..errors import Errors, PTuningError
from .batching import MAX_BUFFERED_TOKENS, batch_by_tokens
from .head import HeadModel

L = TypeVar("L")
MAX_PARTS = 1 << 30  # of Docs in a batch: tokens decide


@dataclass(frozen=True)
class ScoredSequence:
    """A sequence and what the model says of it.

    doc (int): The number of its Doc among those that were asked for.
    sequence (InputSequence): Of that Doc, or of a copy with the same tokens.
    scores (NDArray): Shape: (n_rows, n_outputs)
    """

    doc: int
    sequence: InputSequence
    scores: NDArray[np.float32]


def layout_of(model: HeadModel, name: str, kind: type[L]) -> L:
    """Return the layout of a model's encoder.

    name (str): The component, for messages. kind (type): What the layout must be.
    RAISES (PTuningError): P441 if the model has none of that kind.
    """
    tok2vec: Model[list[Doc], object] = model.get_ref("tok2vec")
    layout = getattr(tok2vec.attrs.get("windows"), "layout", None)
    if not isinstance(layout, kind):
        got = tok2vec.name if layout is None else type(layout).__name__
        raise PTuningError(Errors.P441.format(name=name, expected=kind.__name__, got=got))
    return layout


def score_sequences(model: HeadModel, layout: Layout, docs: Sequence[Doc]) -> Iterator[list[ScoredSequence]]:
    """Yield the scores of all sequences of some Docs, in order, in lists of bounded size."""
    parts = ((number, part) for number, doc in enumerate(docs) for part in _split(doc, layout))
    for batch in batch_by_tokens(parts, MAX_PARTS, MAX_BUFFERED_TOKENS, n_tokens=lambda pair: _size(pair[1], layout)):
        owners, read = zip(*batch, strict=True)
        scores = model.predict(list(read))
        yield [
            ScoredSequence(owners[sequence.doc], sequence, model.ops.to_numpy(own))
            for sequence, own in zip(layout(read), scores, strict=True)
        ]


def _split(doc: Doc, layout: Layout) -> list[Doc]:
    """Return a Doc, or copies of it that are small enough each; none if it makes no sequence."""
    sizes = [sequence.n_tokens for sequence in layout([doc])]
    if not sizes:
        return []
    if sum(sizes) <= MAX_BUFFERED_TOKENS:
        return [doc]
    return layout.split(doc, max(1, MAX_BUFFERED_TOKENS // max(sizes)))


def _size(doc: Doc, layout: Layout) -> int:
    return sum(sequence.n_tokens for sequence in layout([doc]))
