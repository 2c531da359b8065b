"""A stream of Docs in batches that hold a bounded number of tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from spacy.tokens import Doc

# Tokens whose vectors one pass of `pipe` holds. At a width of 768 floats this is 100 MB.
MAX_BUFFERED_TOKENS = 32_768


def batch_by_tokens(stream: Iterable[Doc], max_docs: int, max_tokens: int) -> Iterator[list[Doc]]:
    """Group a stream into lists of at most `max_docs` Docs and `max_tokens` tokens; a longer Doc stands alone."""
    batch: list[Doc] = []
    n_tokens = 0
    for doc in stream:
        if batch and (len(batch) >= max_docs or n_tokens + len(doc) > max_tokens):
            yield batch
            batch, n_tokens = [], 0
        batch.append(doc)
        n_tokens += len(doc)
    if batch:
        yield batch
