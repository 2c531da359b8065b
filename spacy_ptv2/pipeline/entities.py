"""Entities on Docs: which tokens are free for new ones, and how these are added.

In: Docs, perhaps with entities from an entity ruler, the caller or another recogniser. Out: `FreeTokens`, the rows to
decode and the borders that no entity may cross. As in spaCy's `ner`, entities that are set are kept, and blocked tokens
stay without one (https://spacy.io/api/doc#set_ents). A whitespace token takes no tag: an entity may continue after it,
but neither begins nor ends with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import ENT_ID, ENT_IOB, ENT_KB_ID, ENT_TYPE, IS_SPACE
from spacy.tokens import Doc, Span, SpanGroup

Ints1d = NDArray[np.int64]
Prediction = list[tuple[int, int, str, float]]  # start, end, label, confidence
INSIDE, BEGIN = 1, 3  # spaCy's codes in ENT_IOB; a token that begins an entity without a label is blocked
SCORES = "scores"


@dataclass(frozen=True)
class FreeTokens:
    """The tokens of some Docs that may be part of a new entity, all Docs one after the other.

    n_docs (int): Number of all Docs, including empty ones.
    rows (Ints1d): Which of all tokens are free. Shape: (n_free,)
    place (Ints1d): The position of each of them in its Doc. Shape: (n_free,)
    owner (Ints1d): The number of its Doc. Shape: (n_free,)
    bounds (Ints1d): Where stretches begin that no entity may leave, and the end of the last. Shape: (n_stretches + 1,)
    """

    n_docs: int
    rows: Ints1d
    place: Ints1d
    owner: Ints1d
    bounds: Ints1d

    @property
    def lengths(self) -> list[int]:
        """Tokens of each stretch."""
        lengths: list[int] = np.diff(self.bounds).tolist()
        return lengths

    def in_docs(self, entities: Sequence[tuple[int, int, str]], confidences: Sequence[float]) -> list[Prediction]:
        """Return the entities of each Doc. entities (Sequence): (start, end, label) in free tokens, end exclusive."""
        predictions: list[Prediction] = [[] for _ in range(self.n_docs)]
        if entities:
            first, end, labels = zip(*entities, strict=True)
            starts, last = self.place[list(first)], self.place[np.array(end) - 1]
            owners = self.owner[list(first)].tolist()
            found = zip(owners, starts.tolist(), (last + 1).tolist(), labels, confidences, strict=True)
            for owner, *entity in found:
                predictions[owner].append(tuple(entity))
        return predictions


def find_free_tokens(docs: Sequence[Doc], *, overwrite: bool = False, in_entities: bool = False) -> FreeTokens:
    """Return the tokens that are neither whitespace nor blocked nor, unless `overwrite`, in an entity.

    in_entities (bool): Return all tokens but whitespace: what is looked for has nothing to do with entities.
    """
    attributes = [IS_SPACE, ENT_IOB, ENT_TYPE]
    empty = np.zeros((0, len(attributes)), dtype=np.uint64)
    table = np.concatenate([empty, *(doc.to_array(attributes) for doc in docs if len(doc))])
    is_space, iob, label = table.T
    is_taken = (iob == BEGIN) & (label == 0) & (not in_entities)
    if not overwrite and not in_entities:
        is_taken |= (iob == BEGIN) | (iob == INSIDE)
    rows = np.flatnonzero((is_space == 0) & ~is_taken)
    lengths = np.fromiter(map(len, docs), dtype=np.int64, count=len(docs))
    owner = np.repeat(np.arange(len(docs)), lengths)
    place = np.arange(len(table)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    border = (owner + np.cumsum(is_taken))[rows]  # grows wherever something separates two free tokens
    bounds = np.concatenate([[0], np.flatnonzero(np.diff(border)) + 1, [len(rows)]])
    return FreeTokens(len(docs), rows, place[rows], owner[rows], bounds)


def add_entities(doc: Doc, prediction: Prediction, spans_key: str, *, overwrite: bool) -> None:
    """Write new entities to `doc.ents`, and with their confidences to a span group.

    Entities that are set stay as they are, with `ent_id_` and `kb_id_`, unless `overwrite`. In the span group, those of
    another recogniser stay if they still are entities of the Doc.
    """
    iob, label, *ids = doc.to_array([ENT_IOB, ENT_TYPE, ENT_ID, ENT_KB_ID]).reshape(-1, 4).T
    kept = () if overwrite else doc.ents
    found = [Span(doc, start, end, label=name) for start, end, name, _ in prediction]
    if np.any(ids):  # `set_ents` leaves the ids of earlier entities on the tokens
        for token in doc if overwrite else chain.from_iterable(found):
            token.ent_id, token.ent_kb_id = 0, 0
    blocked = [doc[place : place + 1] for place in np.flatnonzero((iob == BEGIN) & (label == 0)).tolist()]
    doc.set_ents([*kept, *found], blocked=blocked)
    scored = [*_scored_before(doc, spans_key), *zip(found, (score for *_, score in prediction), strict=True)]
    scored.sort(key=lambda pair: pair[0].start)
    attrs = {SCORES: [score for _, score in scored]}
    doc.spans[spans_key] = SpanGroup(doc, name=spans_key, spans=[span for span, _ in scored], attrs=attrs)


def _scored_before(doc: Doc, spans_key: str) -> list[tuple[Span, float]]:
    """Return those spans of a group that still are entities, with confidences. Call this before adding new ones."""
    if spans_key not in doc.spans:
        return []
    group = doc.spans[spans_key]
    scores = group.attrs.get(SCORES, ())
    if len(scores) != len(group):
        return []
    entities = {(ent.start, ent.end, ent.label) for ent in doc.ents}
    return [
        (span, score)
        for span, score in zip(group, scores, strict=True)
        if (span.start, span.end, span.label) in entities
    ]
