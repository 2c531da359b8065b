"""CoNLL column files: one token a line, the word first and the entity tag last, an empty line after each sentence.

In: the text of a file (2 columns as in Wikigold, 4 as in CoNLL-2003, or any constant number; tabs or spaces, LF or
CRLF, with or without a UTF-8 byte-order mark). Out: `ConllDocument`s, and spaCy Docs built from them.
Source: Tjong Kim Sang and De Meulder 2003, https://aclanthology.org/W03-0419; IOB1 and IOB2 as in Tjong Kim Sang and
Veenstra 1999, https://aclanthology.org/E99-1023.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from ..errors import CorpusError, Errors, Warnings

DOCSTART = "-DOCSTART-"
TAG_COLUMNS = 4  # in the four-column layout of CoNLL-2003 the second column is the part of speech

Granularity = Literal["sentence", "document"]


@dataclass(frozen=True)
class ConllSentence:
    """One sentence: its words, their part-of-speech tags (empty if the file has none) and its entities.

    entities: (start, end, label) with token indices, end exclusive.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    entities: tuple[tuple[int, int, str], ...]


@dataclass
class ConllDocument:
    """The sentences between two -DOCSTART- lines; a file without such lines gives one document per sentence."""

    sentences: list[ConllSentence] = field(default_factory=list)


@dataclass(frozen=True)
class CorpusCounts:
    """What identifies a copy of a corpus: CoNLL-2003 may differ in blank lines and scheme, not in these."""

    sentences: int
    tokens: int
    entities: int


@dataclass(frozen=True)
class _Row:
    line: int
    columns: list[str]


def read_conll(path: str | Path) -> list[ConllDocument]:
    """Read a CoNLL column file.

    path (str | Path): The file.
    RETURNS (list[ConllDocument]): Its documents, at least one, none of them empty.
    RAISES (CorpusError): P001-P006, with file and line.
    """
    path = Path(path)
    blocks = list(_blocks(path))
    has_docstart = any(_is_docstart(block[0]) for block in blocks)
    scheme = _SchemeCheck(path)
    documents: list[ConllDocument] = [ConllDocument()]
    for block in blocks:
        if _is_docstart(block[0]):
            documents.append(ConllDocument())
            block = block[1:]
        if not block:
            continue
        documents[-1].sentences.append(_parse_sentence(block, scheme))
        if not has_docstart:
            documents.append(ConllDocument())
    scheme.warn_if_mixed()
    documents = [document for document in documents if document.sentences]
    if not documents:
        raise CorpusError(Errors.P004.format(path=path))
    return documents


def count_corpus(documents: list[ConllDocument]) -> CorpusCounts:
    """Count the sentences, tokens and entities of a corpus."""
    sentences = [sentence for document in documents for sentence in document.sentences]
    return CorpusCounts(
        sentences=len(sentences),
        tokens=sum(len(sentence.words) for sentence in sentences),
        entities=sum(len(sentence.entities) for sentence in sentences),
    )


def to_docs(documents: list[ConllDocument], vocab: Vocab, granularity: Granularity = "sentence") -> Iterator[Doc]:
    """Build spaCy Docs with gold entities, sentence starts and, where the file has them, part-of-speech tags.

    granularity ("sentence" | "document"): One Doc per sentence, or one per document of the file.
    YIELDS (Doc): Docs whose words are joined by single spaces (the format does not record the original spacing).
    RAISES (CorpusError): P007.
    """
    if granularity not in ("sentence", "document"):
        raise CorpusError(Errors.P007.format(got=granularity))
    for document in documents:
        if granularity == "document":
            yield _build_doc(document.sentences, vocab)
        else:
            for sentence in document.sentences:
                yield _build_doc([sentence], vocab)


def _build_doc(sentences: list[ConllSentence], vocab: Vocab) -> Doc:
    words = [word for sentence in sentences for word in sentence.words]
    tags = [tag for sentence in sentences for tag in sentence.tags]
    starts: list[bool | int | None] = [i == 0 for sentence in sentences for i in range(len(sentence.words))]
    doc = Doc(vocab, words=words, tags=tags or None, sent_starts=starts)
    entities: list[Span] = []
    offset = 0
    for sentence in sentences:
        entities.extend(Span(doc, offset + start, offset + end, label) for start, end, label in sentence.entities)
        offset += len(sentence.words)
    doc.set_ents(entities)
    return doc


def _blocks(path: Path) -> Iterator[list[_Row]]:
    """Yield the runs of non-empty lines, split into columns and checked for a constant number of them."""
    block: list[_Row] = []
    expected: int | None = None
    for number, text in enumerate(_read_text(path).split("\n"), start=1):
        text = text.strip(" \t\r")
        columns = [column.strip(" ") for column in text.split("\t" if "\t" in text else " ") if column.strip(" ")]
        if not columns:
            if block:
                yield block
            block = []
            continue
        row = _Row(number, columns)
        if not _is_docstart(row):
            if len(columns) < 2:
                raise CorpusError(Errors.P003.format(path=path, line=number, text=text))
            expected = expected or len(columns)
            if len(columns) != expected:
                message = Errors.P001.format(path=path, line=number, expected=expected, got=len(columns), text=text)
                raise CorpusError(message)
        elif block:  # a boundary that no empty line sets apart
            yield block
            block = []
        block.append(row)
    if block:
        yield block


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        raise CorpusError(Errors.P005.format(path=path)) from None
    except UnicodeDecodeError as error:
        raise CorpusError(Errors.P006.format(path=path, error=error)) from error


def _is_docstart(row: _Row) -> bool:
    return row.columns[0] == DOCSTART


def _parse_sentence(block: list[_Row], scheme: _SchemeCheck) -> ConllSentence:
    words = tuple(row.columns[0] for row in block)
    tags = tuple(row.columns[1] for row in block) if len(block[0].columns) >= TAG_COLUMNS else ()
    entities: list[tuple[int, int, str]] = []
    for i, row in enumerate(block):
        prefix, label = scheme.split(row)
        if prefix == "O":
            continue
        continues = bool(entities) and entities[-1][1] == i and entities[-1][2] == label
        scheme.observe(row, prefix, after_entity=bool(entities) and entities[-1][1] == i, continues=continues)
        if prefix == "I" and continues:
            entities[-1] = (entities[-1][0], i + 1, label)
        else:
            entities.append((i, i + 1, label))
    return ConllSentence(words, tags, tuple(entities))


class _SchemeCheck:
    """Reads tags and notices which of IOB1 and IOB2 a file uses: each has a pattern that the other never has."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.iob1_line: int | None = None
        self.iob2_line: int | None = None

    def split(self, row: _Row) -> tuple[str, str]:
        tag = row.columns[-1]
        prefix, _, label = tag.partition("-")
        if tag != "O" and (prefix not in ("B", "I") or not label):
            raise CorpusError(Errors.P002.format(path=self.path, line=row.line, tag=tag))
        return prefix, label

    def observe(self, row: _Row, prefix: str, *, after_entity: bool, continues: bool) -> None:
        if prefix == "I" and not continues:
            self.iob1_line = self.iob1_line or row.line
        if prefix == "B" and not after_entity:
            self.iob2_line = self.iob2_line or row.line

    def warn_if_mixed(self) -> None:
        if self.iob1_line and self.iob2_line:
            message = Warnings.PW01.format(path=self.path, iob1_line=self.iob1_line, iob2_line=self.iob2_line)
            warnings.warn(message, stacklevel=3)
