"""Word pieces of Docs, and which of them each token stands on.

In: Docs and a fast tokenizer. Out: `DocPieces`, from character offsets: whatever the tokenizer drops, joins or splits,
every token gets at least one piece. All Docs are aligned at once, as if their texts stood on one line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import IDX, LENGTH, ORTH
from spacy.tokens import Doc

from .casing import casing_class

Ints1d = NDArray[np.int64]
NO_PIECE = -1  # stands for the leading special piece of the document's first window


@dataclass(frozen=True)
class DocPieces:
    """The pieces of some Docs, those of one behind those of the other, without special ones.

    ids (Ints1d): Piece ids. Shape: (n_pieces,). casing (Ints1d): Shape class of each piece's word; same shape.
    first, last (Ints1d): The pieces that each token stands on, both ends included; both `NO_PIECE` in a Doc without any
    piece. Shape: (n_tokens,)
    pieces_per_doc, tokens_per_doc (Ints1d): Shape: (n_docs,)
    """

    ids: Ints1d
    casing: Ints1d
    first: Ints1d
    last: Ints1d
    pieces_per_doc: Ints1d
    tokens_per_doc: Ints1d


@dataclass(frozen=True)
class _Tokens:
    """The tokens of some Docs on one line. starts, ends (Ints1d): Offsets of their characters. orth: Hashes of their
    texts. Shape of each: (n_tokens,)
    """

    starts: Ints1d
    ends: Ints1d
    orth: NDArray[np.uint64]


def piece_docs(docs: Sequence[Doc], tokenizer: Any, *, with_casing: bool) -> DocPieces:
    """Split Docs into pieces and align their tokens to them.

    with_casing (bool): Fill in the shape classes; otherwise they are all 0.
    """
    texts = [doc.text for doc in docs]
    encoding = _encode(texts, tokenizer) if texts else {"input_ids": [], "offset_mapping": []}
    pieces_per_doc = _counts(encoding["input_ids"])
    tokens_per_doc = _counts(docs)
    n_pieces = int(pieces_per_doc.sum())
    ids = np.fromiter(chain.from_iterable(encoding["input_ids"]), dtype=np.int64, count=n_pieces)
    numbers = chain.from_iterable(chain.from_iterable(encoding["offset_mapping"]))
    spans = np.fromiter(numbers, dtype=np.int64, count=2 * n_pieces).reshape(-1, 2)
    # A character between any two texts keeps what ends one apart from what starts the next.
    text_starts = starts_of(_counts(texts) + 1)
    spans += np.repeat(text_starts, pieces_per_doc)[:, None]
    tokens = _on_one_line(docs, np.repeat(text_starts, tokens_per_doc))
    first, last = _align(tokens, spans, pieces_per_doc, tokens_per_doc)
    casing = np.zeros(n_pieces, dtype=np.int64)
    if with_casing and n_pieces:
        last_token = np.repeat(np.cumsum(tokens_per_doc) - 1, pieces_per_doc)
        casing = _token_casing(docs, tokens)[np.minimum(np.searchsorted(tokens.ends, spans[:, 0], "right"), last_token)]
    return DocPieces(ids, casing, first, last, pieces_per_doc, tokens_per_doc)


def starts_of(lengths: Ints1d) -> Ints1d:
    """Return where each of some stretches of given lengths starts, one behind the other."""
    starts: Ints1d = np.cumsum(lengths) - lengths
    return starts


def ramps(lengths: Ints1d) -> Ints1d:
    """Return 0, 1, ... up to each length, one behind the other. Shape: (sum of lengths,)"""
    ramp: Ints1d = np.arange(lengths.sum()) - np.repeat(starts_of(lengths), lengths)
    return ramp


def _encode(texts: list[str], tokenizer: Any) -> Any:
    return tokenizer(
        texts,
        add_special_tokens=False,
        return_offsets_mapping=True,
        return_attention_mask=False,
        return_token_type_ids=False,
        truncation=False,
        padding=False,
        verbose=False,
    )


def _counts(items: Sequence[Any]) -> Ints1d:
    return np.fromiter(map(len, items), dtype=np.int64, count=len(items))


def _on_one_line(docs: Sequence[Doc], shifts: Ints1d) -> _Tokens:
    """Return where the tokens are if every text is moved. shifts (Ints1d): By how much. Shape: (n_tokens,)"""
    empty = np.zeros((0, 3), dtype=np.uint64)
    table = np.concatenate([empty, *(doc.to_array([IDX, LENGTH, ORTH]) for doc in docs if len(doc))])
    starts = table[:, 0].astype(np.int64) + shifts
    return _Tokens(starts, starts + table[:, 1].astype(np.int64), table[:, 2])


def _align(tokens: _Tokens, spans: Ints1d, pieces_per_doc: Ints1d, tokens_per_doc: Ints1d) -> tuple[Ints1d, Ints1d]:
    """Return `DocPieces.first` and `.last`. spans (Ints1d): Characters of the pieces. Shape: (n_pieces, 2)"""
    # Pieces come in reading order; make that hold exactly, so that a binary search finds the overlaps.
    starts = np.minimum.accumulate(spans[::-1, 0])[::-1]
    ends = np.maximum.accumulate(spans[:, 1])
    first = np.searchsorted(ends, tokens.starts, side="right")
    last = np.searchsorted(starts, tokens.ends, side="left") - 1
    # A token that the tokenizer dropped (a control character, a space) stands on the piece before it, or behind.
    dropped = first > last
    doc_first = np.repeat(starts_of(pieces_per_doc), tokens_per_doc)
    first = np.where(dropped, np.maximum(first - 1, doc_first), first)
    last = np.where(dropped, first, last)
    has_pieces = np.repeat(pieces_per_doc > 0, tokens_per_doc)
    return np.where(has_pieces, first, NO_PIECE), np.where(has_pieces, last, NO_PIECE)


def _token_casing(docs: Sequence[Doc], tokens: _Tokens) -> Ints1d:
    """Return the shape class of each token, looked at once per different word. Shape: (n_tokens,)"""
    _, where, word_of = np.unique(tokens.orth, return_index=True, return_inverse=True)
    first_token = starts_of(_counts(docs))
    doc_of = np.searchsorted(first_token, where, side="right") - 1
    places = zip(doc_of.tolist(), (where - first_token[doc_of]).tolist(), strict=True)
    classes = np.fromiter((casing_class(docs[d][i].text) for d, i in places), dtype=np.int64, count=len(where))
    return classes[word_of]
