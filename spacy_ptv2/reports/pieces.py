"""How long texts are in the word pieces of a backbone, of which nothing but the tokenizer is read."""

from __future__ import annotations

from collections.abc import Sequence

from spacy.tokens import Doc

from ..alignment.pieces import piece_docs
from ..backbones.loading import load_tokenizer
from ..backbones.source import BackboneSource

BATCH = 1000  # Docs


def count_pieces(docs: Sequence[Doc], source: BackboneSource) -> list[int]:
    """Return the number of word pieces of each Doc, without special ones.

    RAISES (BackboneError): P101 if the backbone is not on this machine, P106, P113 if it has no fast tokenizer.
    """
    tokenizer = load_tokenizer(source)
    counts: list[int] = []
    for start in range(0, len(docs), BATCH):
        pieces = piece_docs(docs[start : start + BATCH], tokenizer, with_word_shapes=False)
        counts.extend(pieces.pieces_per_doc.tolist())
    return counts
