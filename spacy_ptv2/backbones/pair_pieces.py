"""The special pieces around two texts, where the tokenizer of a backbone puts them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Ids = tuple[int, ...]


@dataclass(frozen=True)
class PairPieces:
    """Ids of special pieces and token types of a pair. The first text and the pieces before it have type 0.

    start, between, end (tuple[int, ...]): The pieces before the first text, between the two, and after the second, as
        in BERT's "[CLS] a [SEP] b [SEP]" and RoBERTa's "<s> a </s></s> b </s>".
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
    """Find the pair pieces of a fast tokenizer; if it puts none between two texts (decoders), use a line break."""
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
