"""Splits texts into word pieces with their offsets. Every character is text, even the name of a special piece.

In: texts and a fast tokenizer. Out: for each text the ids of its pieces and their offsets. A text that contains the
name of a special piece ("[SEP]", "</s>") gets the pieces of those characters, never the special piece, which the
backbone would read as a boundary.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

Ids = list[int]
Offsets = list[tuple[int, int]]


def tokenize(
    texts: Sequence[str], tokenizer: Any, special_ids: frozenset[int] = frozenset()
) -> tuple[list[Ids], list[Offsets]]:
    """Split texts into pieces.

    special_ids (frozenset[int]): Ids that no text may get. Tokenizers that match against the whole vocabulary (Unigram)
        find "</s>" as a word even where special pieces are off. Such a text is cut inside it and split in parts.
    RETURNS (tuple[list[list[int]], list[list[tuple[int, int]]]]): For each text the ids of its pieces, and the start
        and end of each piece in characters.
    """
    if not texts:
        return [], []
    encoding = tokenizer(
        list(texts),
        add_special_tokens=False,
        split_special_tokens=True,  # as the backbone's tokenizer was loaded; another value would change it for everyone
        return_offsets_mapping=True,
        return_attention_mask=False,
        return_token_type_ids=False,
        truncation=False,
        padding=False,
        verbose=False,
    )
    all_ids, all_offsets = encoding["input_ids"], encoding["offset_mapping"]
    for number, (ids, offsets) in enumerate(zip(all_ids, all_offsets, strict=True)):
        if not special_ids.isdisjoint(ids):
            found = [span for piece, span in zip(ids, offsets, strict=True) if piece in special_ids]
            cuts = [start + 1 for start, end in found if end - start > 1]  # a single character cannot be cut
            if cuts:
                all_ids[number], all_offsets[number] = _in_parts(texts[number], cuts, tokenizer, special_ids)
    return all_ids, all_offsets


def _in_parts(text: str, cuts: Sequence[int], tokenizer: Any, special_ids: frozenset[int]) -> tuple[Ids, Offsets]:
    """Return the pieces of a text that is cut at the given characters."""
    bounds = list(pairwise([0, *cuts, len(text)]))
    ids, offsets = tokenize([text[start:end] for start, end in bounds], tokenizer, special_ids)
    shifted = [
        (first + start, last + start) for (start, _), own in zip(bounds, offsets, strict=True) for first, last in own
    ]
    return [piece for own in ids for piece in own], shifted
