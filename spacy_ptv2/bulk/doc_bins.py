"""Docs in .spacy files: their words and what their tasks are asked are kept, other annotations are not.

In: a file. Out: where each shard begins; and the records of a shard. The last file stays in memory, as its next shard
is likely to be asked for next.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from catalogue import Registry
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab
from srsly import msgpack_decoders, msgpack_encoders

from ..annotations.given import give
from ..annotations.names import GIVEN
from .cuts import Cut
from .records import Bad, Columns, Record

OF_EACH_DOC = ("tokens", "spaces", "cats", "span_groups", "user_data", "flags")


def cut_docs(path: Path, size: int) -> Iterator[Cut]:
    """Yield where shards of `size` Docs begin and end. RAISES (ValueError): If the file is damaged."""
    n_docs = len(_load(path, _state(path)))
    for start in range(0, n_docs, size):
        yield Cut(start, min(start + size, n_docs))


def read_docs(path: Path, name: str, cut: Cut, columns: Columns) -> Iterator[Record | Bad]:
    """Yield the records of a shard."""
    whole, vocab = _load(path, _state(path)), Vocab()
    for number in range(cut.start, cut.stop):
        part = DocBin(store_user_data=True)
        part.attrs = whole.attrs
        part.strings = whole.strings if number == cut.start else set()
        for attribute in OF_EACH_DOC:
            setattr(part, attribute, getattr(whole, attribute)[number : number + 1])
        try:
            with quick_msgpack():
                (doc,) = part.get_docs(vocab)
        except Exception as error:  # whatever a damaged file leads to
            yield Bad(name, number + 1, f"the Doc cannot be read: {error}")
            continue
        yield Record(name, number + 1, doc.text, {"id": f"{name}:{number + 1}", "text": doc.text}, doc)


@contextmanager
def quick_msgpack() -> Iterator[None]:
    """Let srsly take the encoders and decoders that it found first, inside this context.

    It looks them up among all entry points of the environment for every value, four times for a Doc. With that the
    annotation of sentences, written as .spacy, took a third longer (`python -m benchmarks.speed.bulk`, AMD EPYC).
    """
    for registry, found in _found().items():
        vars(registry)["get_all"] = found.copy
    try:
        yield
    finally:
        for registry in _found():
            vars(registry).pop("get_all", None)


@cache
def _found() -> dict[Registry, dict[str, Any]]:
    return {registry: registry.get_all() for registry in (msgpack_encoders, msgpack_decoders)}


def as_asked(doc: Doc, vocab: Vocab) -> Doc:
    """Return a Doc of another vocabulary with the words of a Doc and what its tasks are asked."""
    words, spaces = [token.text for token in doc], [bool(token.whitespace_) for token in doc]
    copy = Doc(vocab, words=words, spaces=spaces)
    give(doc, copy, GIVEN)
    return copy


def _state(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns


@lru_cache(maxsize=1)
def _load(path: Path, state: tuple[int, int]) -> DocBin:
    content = path.read_bytes()
    try:
        return DocBin().from_bytes(content)
    except Exception as error:  # whatever a damaged file leads to
        raise ValueError(f"it is no whole .spacy file: {type(error).__name__}: {error}") from error
