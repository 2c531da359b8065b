"""Word pieces of Docs, and which of them each token stands on.

In: Docs and a fast tokenizer. Out: `DocPieces`, from character offsets: whatever the tokenizer drops, joins or splits,
every token gets at least one piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc

from .casing import casing_class

Ints1d = NDArray[np.int64]
NO_PIECE = -1  # stands for the leading special piece of the document's first window


@dataclass(frozen=True)
class DocPieces:
    """The pieces of one Doc, without special ones.

    ids (Ints1d): Piece ids. Shape: (n_pieces,). casing (Ints1d): Shape class of each piece's word; same shape.
    first, last (Ints1d): The pieces that each token stands on, both ends included; both `NO_PIECE` in a Doc without any
    piece. Shape: (n_tokens,)
    """

    ids: Ints1d
    casing: Ints1d
    first: Ints1d
    last: Ints1d


def piece_docs(docs: Sequence[Doc], tokenizer: Any, *, with_casing: bool) -> list[DocPieces]:
    """Split Docs into pieces and align their tokens to them.

    with_casing (bool): Fill in the shape classes; otherwise they are all 0.
    """
    if not docs:
        return []
    encoding = tokenizer(
        [doc.text for doc in docs],
        add_special_tokens=False,
        return_offsets_mapping=True,
        return_attention_mask=False,
        return_token_type_ids=False,
        truncation=False,
        padding=False,
        verbose=False,
    )
    pairs = zip(encoding["input_ids"], encoding["offset_mapping"], strict=True)
    return [_align(doc, ids, offsets, with_casing) for doc, (ids, offsets) in zip(docs, pairs, strict=True)]


def _align(doc: Doc, ids: list[int], offsets: list[tuple[int, int]], with_casing: bool) -> DocPieces:
    token_starts, token_ends = _token_offsets(doc)
    n_pieces = len(ids)
    if n_pieces == 0:
        nothing = np.full(len(doc), NO_PIECE, dtype=np.int64)
        return DocPieces(np.zeros(0, np.int64), np.zeros(0, np.int64), nothing, nothing)
    spans = np.asarray(offsets, dtype=np.int64).reshape(-1, 2)
    # Pieces come in reading order; make that hold exactly, so that a binary search finds the overlaps.
    starts = np.minimum.accumulate(spans[::-1, 0])[::-1]
    ends = np.maximum.accumulate(spans[:, 1])
    first = np.searchsorted(ends, token_starts, side="right")
    last = np.searchsorted(starts, token_ends, side="left") - 1
    # A token that the tokenizer dropped (a control character, a space) stands on the piece before it, or behind.
    dropped = first > last
    first = np.where(dropped, np.maximum(first - 1, 0), first)
    last = np.where(dropped, first, last)
    casing = _piece_casing(doc, token_ends, spans[:, 0]) if with_casing else np.zeros(n_pieces, np.int64)
    return DocPieces(np.asarray(ids, dtype=np.int64), casing, first, last)


def _token_offsets(doc: Doc) -> tuple[Ints1d, Ints1d]:
    """Return the character offsets where the tokens start and end. Shape of both: (n_tokens,)"""
    table = doc.to_array(["IDX", "LENGTH"]).astype(np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 0] + table[:, 1]


def _piece_casing(doc: Doc, token_ends: Ints1d, piece_starts: Ints1d) -> Ints1d:
    """Return the shape class of the token in which each piece starts. Shape: (n_pieces,)"""
    classes = np.fromiter((casing_class(token.text) for token in doc), dtype=np.int64, count=len(doc))
    tokens = np.searchsorted(token_ends, piece_starts, side="right")
    return classes[np.minimum(tokens, len(doc) - 1)]
