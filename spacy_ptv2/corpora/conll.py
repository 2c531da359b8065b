"""CoNLL column files: one token per line, an empty line after each sentence.

In: the path of a file, or its `Table`. Out: Documents. `columns.py` detects the columns and `schemes.py` the scheme of
the tags, unless the user names them.
Source: Tjong Kim Sang and De Meulder 2003, https://aclanthology.org/W03-0419.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from itertools import chain, pairwise
from pathlib import Path

from ..errors import CorpusError, Errors, Warnings
from .columns import Columns, find_columns
from .conllu import read_misc
from .documents import (
    CorpusCounts,
    Document,
    Entity,
    Granularity,
    Sentence,
    build_sentence,
    count_corpus,
    to_docs,
)
from .options import FileOptions
from .schemes import Scheme, read_tags
from .tables import Row, Table, parse_columns
from .text import read_text

__all__ = ["CorpusCounts", "Document", "Granularity", "Sentence", "count_corpus", "read_conll", "to_docs"]

LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[a-z-]+)?:|simple:")  # WikiANN writes "en:Paris"


def read_conll(path: str | Path) -> list[Document]:
    """Read a CoNLL column file.

    path (str | Path): The file.
    RETURNS (list[Document]): Its documents, at least one, none of them empty.
    RAISES (CorpusError): P001-P006, with file and line.
    """
    path = Path(path)
    return read_table(parse_columns(read_text(path), path), FileOptions())[0]


def read_table(table: Table, options: FileOptions) -> tuple[list[Document], str]:
    """Read the sentences of a table.

    RETURNS (tuple[list[Document], str]): The documents, and a description of the columns and the scheme.
    RAISES (CorpusError): P002, P004, P009, P010.
    """
    if not table.blocks:
        raise CorpusError(Errors.P004.format(path=table.path))
    columns = find_columns(table, options.word_column, options.tag_column)
    if options.tag_column is None:
        columns = read_misc(table, columns)
    _split_at_ids(table, columns)
    if not table.blocks:
        raise CorpusError(Errors.P004.format(path=table.path))
    tags = [[cells[columns.tag] for _, cells in block] for block in table.blocks]

    def place(sentence: int, token: int) -> str:
        return f"{table.path}:{table.blocks[sentence][token][0]}"

    entities, scheme = read_tags(tags, table.path, place, options.scheme)
    sentences = _build_sentences(table, columns, entities)
    documents = _group(sentences, table.document_starts)
    if not documents:
        raise CorpusError(Errors.P004.format(path=table.path))
    return documents, _describe(table, columns, scheme)


def _split_at_ids(table: Table, columns: Columns) -> None:
    """Split sentences by a sentence column, with `Sentence: 1` in the first row (Kaggle) or a number in each row."""
    at = columns.sentence
    if at is None:
        return
    blocks: list[list[Row]] = []
    for block in table.blocks:
        cuts = [i for i, (_, cells) in enumerate(block) if i == 0 or cells[at] not in ("", block[i - 1][1][at])]
        blocks.extend(block[start:end] for start, end in pairwise([*cuts, len(block)]))
    table.blocks, table.document_starts = blocks, set()


def _build_sentences(table: Table, columns: Columns, entities: list[list[Entity]]) -> list[Sentence | None]:
    rows = table.blocks
    words = [[cells[columns.word] for _, cells in block] for block in rows]
    words = _strip_language(words)
    missing = [block[i][0] for block, row in zip(rows, words, strict=True) for i, word in enumerate(row) if not word]
    if missing:
        warnings.warn(Warnings.PW21.format(path=table.path, n=len(missing), line=missing[0]), stacklevel=2)
    pos = columns.pos
    tags = [[cells[pos] for _, cells in block] if pos is not None else [] for block in rows]
    return [build_sentence(*parts) for parts in zip(words, entities, tags, strict=True)]


def _strip_language(words: list[list[str]]) -> list[list[str]]:
    """Remove the language from words such as `en:Paris` if all words of a file have the same one."""
    match = LANGUAGE.match(next(chain.from_iterable(words)))
    if match and all(word.startswith(match[0]) for row in words for word in row):
        return [[word[match.end() :] for word in row] for row in words]
    return words


def _group(sentences: Sequence[Sentence | None], starts: set[int]) -> list[Document]:
    """Group sentences into documents at the marks. Without marks each sentence is a document."""
    documents: list[Document] = [Document()]
    for i, sentence in enumerate(sentences):
        if i in starts or not starts:
            documents.append(Document())
        if sentence is not None:
            documents[-1].sentences.append(sentence)
    return [document for document in documents if document.sentences]


def _describe(table: Table, columns: Columns, scheme: Scheme | None) -> str:
    def name(at: int) -> str:
        return f"{at + 1} ({table.header[at]})" if table.header else str(at + 1)

    parts = [f"word in column {name(columns.word)}", f"tag in {name(columns.tag)}"]
    if columns.pos is not None:
        parts.append(f"part of speech in {name(columns.pos)}")
    return f"{', '.join(parts)} of {table.width}; {f'scheme {scheme.name}' if scheme else 'no entities'}"
