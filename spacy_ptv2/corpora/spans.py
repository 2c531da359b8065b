"""Turns raw texts with entities in characters into tokens with entities.

In: texts and spans. Out: Documents, tokenised by the blank pipeline of a language. No entity is lost silently. If one
does not begin and end with a token, or overlaps another, it is an error, or counted in a warning if the user said what
to do.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import spacy
from spacy.tokens import Doc

from ..errors import CorpusError, Errors, Warnings
from .documents import Document, Entity, Sentence, trim_entities
from .options import FileOptions, Misaligned
from .text import shorten

EXAMPLES = 3  # how many faults a message shows


@dataclass(frozen=True)
class Tokenize:
    """A tokenizer and its language."""

    lang: str
    make_doc: Callable[[str], Doc]


@dataclass
class CharSpan:
    """An entity in characters, end exclusive."""

    start: int
    end: int
    label: str


@dataclass
class Text:
    """A text, its entities, and its place in the file."""

    place: str
    text: str
    spans: list[CharSpan] = field(default_factory=list)


def blank_tokenize(lang: str) -> Tokenize:
    """Return the tokenizer of a language.

    RAISES (CorpusError): P017.
    """
    try:
        return Tokenize(lang, spacy.blank(lang).make_doc)
    except (ImportError, ValueError, OSError) as error:
        raise CorpusError(Errors.P017.format(lang=lang, error=shorten(error))) from error


def build_texts(texts: Sequence[Text], path: Path, tokenize: Tokenize, options: FileOptions) -> list[Document]:
    """Tokenise texts and align their entities.

    RETURNS (list[Document]): One for each text that is not empty.
    RAISES (CorpusError): P004, P014, P015, P016.
    """
    docs = [tokenize.make_doc(text.text) for text in texts]
    misaligned = options.misaligned
    faults: list[str] = []
    placed = [_align(doc, text, misaligned, faults) for doc, text in zip(docs, texts, strict=True)]
    total = sum(len(text.spans) for text in texts)
    if faults:
        examples = "; ".join(faults[:EXAMPLES])
        if misaligned == "error":
            message = Errors.P014.format(path=path, n=len(faults), total=total, lang=tokenize.lang, examples=examples)
            raise CorpusError(message)
        problem, done = "do not begin and end with a token", "widened" if misaligned == "expand" else "left out"
        _warn(path, len(faults), total, problem, done, examples)
    found = [(text.place, entities) for text, entities in zip(texts, placed, strict=True)]
    kept = order_entities(found, path, options)
    documents = [
        Document([_build(doc, entities)], has_sentences=False) for doc, entities in zip(docs, kept, strict=True) if doc
    ]
    if not documents:
        raise CorpusError(Errors.P004.format(path=path))
    return documents


def _build(doc: Doc, entities: Sequence[Entity]) -> Sentence:
    words = tuple(token.text for token in doc)
    spaces = tuple(bool(token.whitespace_) for token in doc)
    return Sentence(words, (), trim_entities(words, entities), spaces)


def _align(doc: Doc, text: Text, misaligned: Misaligned, faults: list[str]) -> list[Entity]:
    """Return entities in tokens. Those that do not align are added to `faults`, and widened for "expand"."""
    entities = []
    for span in text.spans:
        start, end, label = span.start, span.end, span.label
        if not 0 <= start < end <= len(text.text):
            length, label = len(text.text), shorten(label)
            message = Errors.P015.format(place=text.place, label=label, start=start, end=end, length=length)
            raise CorpusError(message)
        inner = text.text[start:end]
        start += len(inner) - len(inner.lstrip())
        end -= len(inner) - len(inner.rstrip())
        aligned = doc.char_span(start, end) if start < end else None
        if aligned is None:
            faults.append(f"{text.place}, {shorten(inner.strip(), 30)!r} ({shorten(label, 30)})")
            if misaligned != "expand" or start >= end:
                continue
            aligned = doc.char_span(start, end, alignment_mode="expand")
        if aligned is not None:
            entities.append((aligned.start, aligned.end, label))
    return entities


def order_entities(
    found: Sequence[tuple[str, Sequence[Entity]]], path: Path, options: FileOptions
) -> list[list[Entity]]:
    """Return entities in order. No two of them share a token, unless the options allow it. Duplicates count once.

    found (Sequence[tuple[str, Sequence[Entity]]]): Place and entities of each sentence.
    RAISES (CorpusError): P016 for overlaps, unless `misaligned` is "skip", which keeps the longest.
    """
    if options.overlaps:
        return [sorted(set(entities)) for _, entities in found]
    kept: list[list[Entity]] = []
    faults: list[str] = []
    for place, entities in found:
        kept.append([])
        taken: set[int] = set()
        for start, end, label in sorted(set(entities), key=lambda entity: (entity[0] - entity[1], entity)):
            if taken.isdisjoint(range(start, end)):
                taken.update(range(start, end))
                kept[-1].append((start, end, label))
            else:
                faults.append(f"{place}, {shorten(label, 30)} in tokens {start} to {end}")
        kept[-1].sort()
    if faults:
        total, examples = sum(len(entities) for _, entities in found), "; ".join(faults[:EXAMPLES])
        if options.misaligned != "skip":
            raise CorpusError(Errors.P016.format(path=path, n=len(faults), total=total, examples=examples))
        _warn(path, len(faults), total, "overlap a longer one", "left out", examples)
    return kept


def _warn(path: Path, n: int, total: int, problem: str, done: str, examples: str) -> None:
    message = Warnings.PW23.format(path=path, n=n, total=total, problem=problem, done=done, examples=examples)
    warnings.warn(message, stacklevel=2)
