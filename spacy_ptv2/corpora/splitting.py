"""Splits a corpus into train, dev and test by whole documents, always in the same way.

In: documents and the share of each part. Out: the parts, each in the order of the corpus. Documents of the same text
come into the same part, so that nothing is tested that was trained on.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from ..errors import CorpusError, Errors

T = TypeVar("T")
PARTS = ("train", "dev", "test")
SEED = 0


def parse_shares(text: str) -> dict[str, float]:
    """Return the share of each part.

    text (str): Two or three positive numbers with commas, for train, dev and test, as in "80,10,10".
    RAISES (CorpusError): P798 for anything else.
    """
    try:
        numbers = [float(number) for number in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 3) or not all(0 < number < float("inf") for number in numbers):
        raise CorpusError(Errors.P798.format(got=text))
    return {part: number / sum(numbers) for part, number in zip(PARTS, numbers, strict=False)}


def split(documents: Sequence[T], shares: dict[str, float], text_of: Callable[[T], Hashable]) -> dict[str, list[T]]:
    """Split documents at random.

    shares (dict[str, float]): See `parse_shares`. text_of (Callable): What makes two documents the same.
    RETURNS (dict[str, list[T]]): The documents of each part.
    RAISES (CorpusError): P799 if there are fewer different documents than parts.
    """
    same: dict[Hashable, list[int]] = defaultdict(list)
    for place, document in enumerate(documents):
        same[text_of(document)].append(place)
    groups = list(same.values())
    random.Random(SEED).shuffle(groups)
    owned: dict[str, list[list[int]]] = {part: [] for part in shares}
    filled, bounds = 0, [sum(list(shares.values())[: n + 1]) for n in range(len(shares))]
    for group in groups:
        middle = (filled + len(group) / 2) / len(documents)
        part = next((part for part, bound in zip(shares, bounds, strict=True) if middle <= bound), list(shares)[-1])
        owned[part].append(group)
        filled += len(group)
    for own in owned.values():
        largest = max(owned.values(), key=len)
        if not own and len(largest) > 1:  # of few documents, a small share gets one
            own.append(largest.pop())
    if empty := [part for part, own in owned.items() if not own]:
        raise CorpusError(Errors.P799.format(n=len(groups), parts=", ".join(empty)))
    return {part: [documents[n] for n in sorted(n for group in own for n in group)] for part, own in owned.items()}
