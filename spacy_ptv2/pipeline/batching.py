"""Batches of a stream of Docs, each with a bounded number of tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

# Tokens whose vectors one pass of `pipe` holds. At a width of 768 floats, they take 100 MB.
MAX_BUFFERED_TOKENS = 32_768


T = TypeVar("T")


def batch_by_tokens(
    stream: Iterable[T], max_docs: int, max_tokens: int, *, n_tokens: Callable[[Any], int] = len
) -> Iterator[list[T]]:
    """Group a stream into lists of at most `max_docs` items and `max_tokens` tokens; a longer item gets its own list.

    n_tokens (Callable[[Any], int]): How many tokens an item counts for; by default its length.
    """
    batch: list[T] = []
    total = 0
    for item in stream:
        size = n_tokens(item)
        if batch and total + size > max_tokens:
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += size
        if len(batch) >= max_docs:  # a full batch does not wait for the next item
            yield batch
            batch, total = [], 0
    if batch:
        yield batch
