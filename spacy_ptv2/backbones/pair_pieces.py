"""The special pieces around two texts, as the tokenizer of a backbone puts them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Ids = tuple[int, ...]


@dataclass(frozen=True)
class PairPieces:
    """Ids of special pieces and token types of a pair. The first text has type 0, and what stands before it.

    start, between, end (tuple[int, ...]): Before the first text, between the two, after the second: those of
        "[CLS] a [SEP] b [SEP]" of BERT, of "<s> a </s></s> b </s>" of RoBERTa.
    between_types, end_types (tuple[int, ...]): Their token types.
    second_type (int): The token type of the second text.
    """

    start: Ids
    between: Ids
    end: Ids
    between_types: Ids
    second_type: int
    end_types: Ids


def find_pair_pieces(tokenizer: Any) -> PairPieces:
    """Ask a fast tokenizer. One that puts nothing between two texts, as those of decoders, gets a line break there."""
    pair = tokenizer("a", "b", add_special_tokens=True, return_token_type_ids=True)
    ids, types, owners = pair["input_ids"], pair["token_type_ids"], pair.sequence_ids(0)
    first, second = ([place for place, owner in enumerate(owners) if owner == number] for number in (0, 1))
    middle, end = slice(first[-1] + 1, second[0]), slice(second[-1] + 1, None)
    between, between_types = ids[middle], types[middle]
    if not between:
        between = tokenizer("\n", add_special_tokens=False)["input_ids"]
        between_types = [0] * len(between)
    return PairPieces(
        start=tuple(ids[: first[0]]),
        between=tuple(between),
        end=tuple(ids[end]),
        between_types=tuple(between_types),
        second_type=types[second[0]],
        end_types=tuple(types[end]),
    )
