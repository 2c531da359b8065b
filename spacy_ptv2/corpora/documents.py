"""Documents, which every reader of files returns, and spaCy Docs built from them.

In: words, entities and what else a file says. Out: Docs with gold entities. Words that are empty in a file are left
out, and entities never begin or end with white space (line breaks and double spaces are tokens of a raw text).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from spacy.tokens import Doc, Span
from spacy.util import filter_spans
from spacy.vocab import Vocab

from ..errors import CorpusError, Errors
from .spacing import is_unspaced, spaces_between

Granularity = Literal["sentence", "document"]
Entity = tuple[int, int, str]  # first token, end (exclusive), label


@dataclass(frozen=True)
class Sentence:
    """One sentence, or one text in a format without sentences.

    words (tuple[str, ...]): The tokens.
    tags (tuple[str, ...]): Their part-of-speech tags; empty if the file has none.
    entities (tuple[Entity, ...]): (start, end, label) with token indices, end exclusive, in order.
    spaces (tuple[bool, ...]): Whether a space follows each token; empty if the file does not record it.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...] = ()
    entities: tuple[Entity, ...] = ()
    spaces: tuple[bool, ...] = ()


@dataclass
class Document:
    """Sentences that belong together. If a file does not mark documents, each sentence is a document.

    has_sentences (bool): False if the entries are texts without annotated sentences.
    """

    sentences: list[Sentence] = field(default_factory=list)
    has_sentences: bool = True


@dataclass(frozen=True)
class CorpusCounts:
    """Counts that identify a corpus. Copies of CoNLL-2003 may differ in blank lines and scheme, but not in these."""

    sentences: int
    tokens: int
    entities: int


def build_sentence(words: Sequence[str], entities: Sequence[Entity], tags: Sequence[str] = ()) -> Sentence | None:
    """Build a sentence from a format that lists tokens.

    RETURNS (Sentence | None): None if no words are left without the empty ones.
    """
    if all(words):
        trimmed = trim_entities(words, entities) if entities else ()
        return Sentence(tuple(words), tuple(tags), trimmed) if words else None
    kept = [i for i, word in enumerate(words) if word]
    new = {old: i for i, old in enumerate(kept)}
    moved = [([new[i] for i in range(start, end) if i in new], label) for start, end, label in entities]
    return build_sentence(
        [words[i] for i in kept],
        [(tokens[0], tokens[-1] + 1, label) for tokens, label in moved if tokens],
        [tags[i] for i in kept] if tags else (),
    )


def trim_entities(words: Sequence[str], entities: Sequence[Entity]) -> tuple[Entity, ...]:
    """Trim tokens of white space from the edges of entities. An entity of nothing else is dropped."""
    trimmed: list[Entity] = []
    for start, end, label in entities:
        while start < end and words[start].isspace():
            start += 1
        while start < end and words[end - 1].isspace():
            end -= 1
        if start < end:
            trimmed.append((start, end, label))
    return tuple(trimmed)


def count_corpus(documents: list[Document]) -> CorpusCounts:
    """Count the sentences, tokens and entities of a corpus."""
    sentences = [sentence for document in documents for sentence in document.sentences]
    return CorpusCounts(
        sentences=len(sentences),
        tokens=sum(len(sentence.words) for sentence in sentences),
        entities=sum(len(sentence.entities) for sentence in sentences),
    )


def to_docs(
    documents: list[Document], vocab: Vocab, granularity: Granularity = "sentence", spans_key: str | None = None
) -> Iterator[Doc]:
    """Build spaCy Docs with gold entities and, where the file has them, sentence starts and part-of-speech tags.

    granularity ("sentence" | "document"): One Doc per sentence, or one per document of the file.
    spans_key (str | None): A group of `doc.spans` for all entities. Of those that overlap, `doc.ents` has the longest.
    YIELDS (Doc): Docs whose words are joined by single spaces, or as `spacing.py` says where most words of the file are
        of a script without spaces, unless the file records the original spacing.
    RAISES (CorpusError): P007.
    """
    if granularity not in ("sentence", "document"):
        raise CorpusError(Errors.P007.format(got=granularity))
    unspaced = is_unspaced(word for document in documents for s in document.sentences for word in s.words)
    for document in documents:
        parts = [document.sentences] if granularity == "document" else [[s] for s in document.sentences]
        for sentences in parts:
            yield _build_doc(sentences, vocab, document.has_sentences, spans_key, unspaced=unspaced)


def _build_doc(
    sentences: list[Sentence], vocab: Vocab, has_sentences: bool, spans_key: str | None, *, unspaced: bool
) -> Doc:
    words = [word for sentence in sentences for word in sentence.words]
    tags = [tag for sentence in sentences for tag in sentence.tags]
    spaces = [space for sentence in sentences for space in sentence.spaces]
    if unspaced and not spaces:
        spaces = spaces_between(words)
    starts: list[bool | int | None] | None = None
    if has_sentences:
        starts = [i == 0 for sentence in sentences for i in range(len(sentence.words))]
    doc = Doc(vocab, words=words, spaces=spaces or None, tags=tags or None, sent_starts=starts)
    entities: list[Span] = []
    offset = 0
    for sentence in sentences:
        entities.extend(Span(doc, offset + start, offset + end, label) for start, end, label in sentence.entities)
        offset += len(sentence.words)
    if spans_key is not None:
        doc.spans[spans_key] = entities
        entities = filter_spans(entities)
    doc.set_ents(entities)
    return doc
