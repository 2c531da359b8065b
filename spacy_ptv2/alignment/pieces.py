"""Splits Docs into word pieces and aligns them with tokens by character offsets.

In: Docs and a fast tokenizer. Out: `DocPieces`. Whatever the tokenizer drops, joins or splits, every token other than
spaces gets at least one piece. All Docs are aligned at once, as if their texts stood on one line.

A token of spaces, such as a line break, has no pieces. Most tokenizers drop it and some join it to the next word;
either way it would carry the vector of a neighbour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import IDX, IS_SPACE, LENGTH, ORTH
from spacy.tokens import Doc

from .tokenization import tokenize
from .word_shape import NONE, word_shape_of

Ints1d = NDArray[np.int64]
NO_PIECE = -1  # read from the leading special piece of the sequence's first window instead


@dataclass(frozen=True)
class DocPieces:
    """The pieces of some Docs, Doc after Doc, without special pieces.

    ids (Ints1d): Piece ids. Shape: (n_pieces,)
    word_shape (Ints1d): Shape class of each piece's word, same shape.
    first, last (Ints1d): The first and last piece of each token; both `NO_PIECE` in a Doc without pieces. For a token
        of spaces they say where it is in the text. Shape: (n_tokens,)
    pieces_per_token (Ints1d): Number of pieces of each token, 0 for spaces. Shape: (n_tokens,)
    pieces_per_doc, tokens_per_doc (Ints1d): Shape: (n_docs,)
    """

    ids: Ints1d
    word_shape: Ints1d
    first: Ints1d
    last: Ints1d
    pieces_per_token: Ints1d
    pieces_per_doc: Ints1d
    tokens_per_doc: Ints1d


@dataclass(frozen=True)
class _Tokens:
    """The tokens of some Docs on one line.

    starts, ends (Ints1d): Character offsets. orth: Hashes of their texts. is_word: False for spaces.
    Shape of each: (n_tokens,)
    """

    starts: Ints1d
    ends: Ints1d
    orth: NDArray[np.uint64]
    is_word: NDArray[np.bool_]


def piece_docs(
    docs: Sequence[Doc], tokenizer: Any, *, with_word_shapes: bool, special_ids: frozenset[int] = frozenset()
) -> DocPieces:
    """Split Docs into pieces and align their tokens with them.

    with_word_shapes (bool): Fill in the shape classes; otherwise they are all 0.
    special_ids (frozenset[int]): See `tokenize`.
    """
    texts = [doc.text for doc in docs]
    all_ids, all_offsets = tokenize(texts, tokenizer, special_ids)
    pieces_per_doc = _counts(all_ids)
    tokens_per_doc = _counts(docs)
    n_pieces = int(pieces_per_doc.sum())
    ids = np.fromiter(chain.from_iterable(all_ids), dtype=np.int64, count=n_pieces)
    numbers = chain.from_iterable(chain.from_iterable(all_offsets))
    spans = np.fromiter(numbers, dtype=np.int64, count=2 * n_pieces).reshape(-1, 2)
    # One character between two texts keeps the end of the first apart from the start of the second.
    text_starts = starts_of(_counts(texts) + 1)
    spans += np.repeat(text_starts, pieces_per_doc)[:, None]
    tokens = _on_one_line(docs, np.repeat(text_starts, tokens_per_doc))
    first, last = _align(tokens, spans, pieces_per_doc, tokens_per_doc)
    pieces_per_token = np.where(tokens.is_word, last - first + 1, 0)
    word_shape = np.full(n_pieces, NONE, dtype=np.int64)
    if with_word_shapes and n_pieces:
        word_shape = _piece_shapes(_token_shapes(docs, tokens), tokens, spans[:, 0], pieces_per_doc, tokens_per_doc)
    return DocPieces(ids, word_shape, first, last, pieces_per_token, pieces_per_doc, tokens_per_doc)


def starts_of(lengths: Ints1d) -> Ints1d:
    """Return where each of some consecutive stretches starts, given their lengths."""
    starts: Ints1d = np.cumsum(lengths) - lengths
    return starts


def ramps(lengths: Ints1d) -> Ints1d:
    """Return 0, 1, ... length - 1 for each length, one after the other. Shape: (sum of lengths,)"""
    ramp: Ints1d = np.arange(lengths.sum()) - np.repeat(starts_of(lengths), lengths)
    return ramp


def _counts(items: Sequence[Any]) -> Ints1d:
    return np.fromiter(map(len, items), dtype=np.int64, count=len(items))


def _on_one_line(docs: Sequence[Doc], shifts: Ints1d) -> _Tokens:
    """Return the tokens with shifted offsets. shifts (Ints1d): By how many characters. Shape: (n_tokens,)"""
    attributes = [IDX, LENGTH, ORTH, IS_SPACE]
    empty = np.zeros((0, len(attributes)), dtype=np.uint64)
    table = np.concatenate([empty, *(doc.to_array(attributes) for doc in docs if len(doc))])
    starts = table[:, 0].astype(np.int64) + shifts
    return _Tokens(starts, starts + table[:, 1].astype(np.int64), table[:, 2], table[:, 3] == 0)


def _align(tokens: _Tokens, spans: Ints1d, pieces_per_doc: Ints1d, tokens_per_doc: Ints1d) -> tuple[Ints1d, Ints1d]:
    """Return `DocPieces.first` and `.last`. spans (Ints1d): Character ranges of the pieces. Shape: (n_pieces, 2)"""
    # Pieces are nearly in reading order. Make the offsets monotonic, so that a binary search finds the overlaps.
    starts = np.minimum.accumulate(spans[::-1, 0])[::-1]
    ends = np.maximum.accumulate(spans[:, 1])
    first = np.searchsorted(ends, tokens.starts, side="right")
    last = np.searchsorted(starts, tokens.ends, side="left") - 1
    # A token that the tokenizer dropped (a control character) gets the piece before it, or else the one after.
    dropped = first > last
    doc_first = np.repeat(starts_of(pieces_per_doc), tokens_per_doc)
    first = np.where(dropped, np.maximum(first - 1, doc_first), first)
    last = np.where(dropped, first, last)
    has_pieces = np.repeat(pieces_per_doc > 0, tokens_per_doc)
    return np.where(has_pieces, first, NO_PIECE), np.where(has_pieces, last, NO_PIECE)


def _token_shapes(docs: Sequence[Doc], tokens: _Tokens) -> Ints1d:
    """Return the shape class of each token, computed once per distinct word. Shape: (n_tokens,)"""
    _, where, word_of = np.unique(tokens.orth, return_index=True, return_inverse=True)
    first_token = starts_of(_counts(docs))
    doc_of = np.searchsorted(first_token, where, side="right") - 1
    places = zip(doc_of.tolist(), (where - first_token[doc_of]).tolist(), strict=True)
    classes = np.fromiter((word_shape_of(docs[d][i].text) for d, i in places), dtype=np.int64, count=len(where))
    return classes[word_of]


def _piece_shapes(
    token_shapes: Ints1d, tokens: _Tokens, piece_starts: Ints1d, pieces_per_doc: Ints1d, tokens_per_doc: Ints1d
) -> Ints1d:
    """Return the shape class of the word that each piece begins in or before; `NONE` in a Doc without words.

    piece_starts (Ints1d): Offsets of the first characters. Shape, also of the result: (n_pieces,)
    """
    words = np.flatnonzero(tokens.is_word)
    words_up_to = np.cumsum(tokens.is_word)
    word_bounds = np.append(0, words_up_to)[np.append(0, np.cumsum(tokens_per_doc))]
    first_word, end_word = (np.repeat(bounds, pieces_per_doc) for bounds in (word_bounds[:-1], word_bounds[1:]))
    word = np.minimum(np.searchsorted(tokens.ends[words], piece_starts, "right"), end_word - 1)
    classes = np.append(token_shapes[words], NONE)  # the last entry is for Docs without words
    return classes[np.where(first_word < end_word, word, len(words))]
