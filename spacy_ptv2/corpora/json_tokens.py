"""JSON forms that list tokens, with a tag for each or with spans of tokens.

In: records. Out: Documents. Sources: SpERT, https://arxiv.org/abs/1909.07755; DyGIE++,
https://github.com/dwadden/dygiepp/blob/master/doc/data.md; GLiNER, https://github.com/urchade/GLiNER; Hugging Face
datasets (`tokens`, `ner_tags`); spaCy 2, https://v2.spacy.io/api/annotation#json-input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CorpusError, Errors
from .documents import Document, Entity, Sentence, build_sentence
from .options import FileOptions
from .records import Record, check, check_integers, check_label, check_text, fits, guard, has
from .schemes import read_tags
from .spans import order_entities

WORD_KEYS = ("tokens", "words", "tokenized_text")
TAG_KEYS = ("ner_tags", "tags", "labels", "ner", "bio_tags", "iob_tags", "ner_labels")


@dataclass
class Tokens:
    """A sentence from a record, with tags or with entities. `pos` is empty if it has no parts of speech."""

    place: str
    words: list[str]
    tags: list[str] | None = None
    entities: list[Entity] | None = None
    pos: tuple[str, ...] = ()


@dataclass(frozen=True)
class TokenForm:
    """A form of JSON with tokens.

    matches (Callable[[Any], bool]): Returns whether an entry has this form.
    read (Callable[[Record], Iterator[Tokens]]): Yields the sentences of an entry, which form one document.
    """

    name: str
    matches: Callable[[Any], bool]
    read: Callable[[Record], Iterator[Tokens]]


def read_token_entries(
    form: TokenForm, records: list[Record], path: Path, options: FileOptions
) -> tuple[list[Document], str]:
    """Read all entries of a file.

    RETURNS (tuple[list[Document], str]): The documents, and a description of how the entities are written.
    RAISES (CorpusError): P002, P004, P013, P016, P022.
    """
    groups: list[list[Tokens]] = []
    for record in records:
        check(fits(form.matches, record), record.place, form.name, record.value)
        groups.append(guard(lambda record: list(form.read(record)), record, form.name))
    tagged = [tokens for group in groups for tokens in group if tokens.tags is not None]
    tags = [tokens.tags or [] for tokens in tagged]
    found, scheme = read_tags(tags, path, lambda sentence, token: tagged[sentence].place, options.scheme)
    for tokens, entities in zip(tagged, found, strict=True):
        tokens.entities = entities
    everything = [tokens for group in groups for tokens in group]
    kept = order_entities([(tokens.place, tokens.entities or []) for tokens in everything], path, options)
    sentences: Iterator[Sentence | None] = (
        build_sentence(tokens.words, entities, tokens.pos) for tokens, entities in zip(everything, kept, strict=True)
    )
    documents = [Document([built for built in (next(sentences) for _ in group) if built]) for group in groups]
    documents = [document for document in documents if document.sentences]
    if not documents:
        raise CorpusError(Errors.P004.format(path=path))
    return documents, f"scheme {scheme.name}" if scheme else "spans of tokens" if not tagged else "no entities"


def _words(record: Record, values: Any) -> list[str]:
    check(isinstance(values, list), record.place, "a list of tokens", values)
    return [check_text(record.place, value) for value in values]


def _spans(record: Record, spans: Any, length: int, *, offset: int = 0, inclusive: bool = False) -> list[Entity]:
    """Read spans as [start, end, label] or as objects with these keys, and check that they are in the sentence."""
    check(isinstance(spans, list), record.place, "a list of entities", spans)
    entities = []
    for span in spans:
        if isinstance(span, dict):
            first, last, label = span["start"], span["end"], span.get("type", span.get("label"))
        else:
            check(isinstance(span, list) and len(span) >= 3, record.place, "entities as [start, end, label]", span)
            first, last, label = span[:3]
        check_integers(record.place, first, last)
        start, end = first - offset, last - offset + inclusive
        if not 0 <= start < end <= length:
            check(False, record.place, f"entities within the {length} tokens of their sentence", span)
        entities.append((start, end, check_label(record.place, label)))
    return entities


def _read_flat(record: Record) -> Iterator[Tokens]:
    """Read tokens with a tag for each (Hugging Face), or with spans (SpERT: end exclusive; GLiNER: inclusive)."""
    value = record.value
    key = next(key for key in WORD_KEYS if key in value)
    words = _words(record, value[key])
    if "entities" in value:
        yield Tokens(record.place, words, entities=_spans(record, value["entities"], len(words)))
    elif key == "tokenized_text":
        yield Tokens(record.place, words, entities=_spans(record, value["ner"], len(words), inclusive=True))
    else:
        yield Tokens(record.place, words, tags=_tags(record, value, len(words)))


def _tags(record: Record, value: dict[str, Any], length: int) -> list[str]:
    tags = value[next(key for key in TAG_KEYS if key in value)]
    check(isinstance(tags, list) and len(tags) == length, record.place, f"a list of {length} tags", tags)
    if tags and all(isinstance(tag, int) for tag in tags):
        raise CorpusError(Errors.P022.format(place=record.place, got=tags[0]))
    return [check_text(record.place, tag) for tag in tags]


def _read_sentences(record: Record) -> Iterator[Tokens]:
    """Read sentences with spans whose token indices run through the whole document, as in DyGIE++ and SciERC."""
    offset = 0
    sentences, spans = record.value["sentences"], record.value["ner"]
    check(len(sentences) == len(spans), record.place, f"{len(sentences)} lists of entities", spans)
    for values, found in zip(sentences, spans, strict=True):
        words = _words(record, values)
        yield Tokens(record.place, words, entities=_spans(record, found, len(words), offset=offset, inclusive=True))
        offset += len(words)


def _read_spacy_2(record: Record) -> Iterator[Tokens]:
    """Read the training format of spaCy 2: paragraphs, sentences, tokens with `orth`, `tag` and `ner`."""
    for paragraph in record.value["paragraphs"]:
        for sentence in paragraph.get("sentences", []):
            tokens = sentence["tokens"]
            check(all(has(token, "orth") for token in tokens), record.place, "tokens with 'orth'", tokens)
            words = _words(record, [token["orth"] for token in tokens])
            tags = [check_text(record.place, token.get("ner", "O")) for token in tokens]
            pos = tuple(check_text(record.place, token["tag"]) for token in tokens if token.get("tag"))
            yield Tokens(record.place, words, tags=tags, pos=pos if len(pos) == len(words) else ())


def _is_spacy_2(value: Any) -> bool:
    return has(value, "paragraphs") and any(has(paragraph, "sentences") for paragraph in value["paragraphs"])


def _has_words(value: Any) -> bool:
    words = next((value[key] for key in WORD_KEYS if key in value), None) if isinstance(value, dict) else None
    return isinstance(words, list) and all(isinstance(word, str) for word in words)


def _has_tags(value: Any) -> bool:
    return _has_words(value) and any(isinstance(value.get(key), list) for key in TAG_KEYS)


TOKEN_FORMS = (
    TokenForm("training format of spaCy 2", _is_spacy_2, _read_spacy_2),
    TokenForm("sentences and spans as in DyGIE++", lambda x: has(x, "sentences", "ner"), _read_sentences),
    TokenForm("tokens and spans as in SpERT", lambda x: _has_words(x) and has(x, "entities"), _read_flat),
    TokenForm("tokens and spans as in GLiNER", lambda x: has(x, "tokenized_text", "ner"), _read_flat),
    TokenForm("tokens and tags as in Hugging Face", _has_tags, _read_flat),
)
