"""CoNLL-2012 `*_gold_conll`, the columns of OntoNotes: entities are in the eleventh, in brackets.

In: the text of a file. Out: one Document per `#begin document`, so each part of a document is its own.
Source: Pradhan et al. 2012, https://aclanthology.org/W12-4501.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import CorpusError, Errors
from .documents import Document, Entity, Sentence, build_sentence
from .tables import Row
from .tagsets import is_part_of_speech
from .text import shorten

BEGIN = "#begin document"
WORD, TAG, ENTITY = 3, 4, 10
LEAST_COLUMNS = 12  # there may be more: one for the arguments of each predicate, before the last, coreference
MISSING_WORD = "[WORD]"  # stands for every word in files of the shared task that come without OntoNotes
BRACKETS = re.compile(r"(?:\(([^()*\s]+))?(\*?)(\)?)")


def is_conll_2012(text: str) -> bool:
    """Return whether the first row after `#begin document` has at least as many columns as CoNLL-2012."""
    lines = (line for line in text.split("\n", 100)[:100] if line.strip())
    if not next(lines, "").startswith(BEGIN):
        return False
    return len(next((line for line in lines if not line.startswith("#")), "").split()) >= LEAST_COLUMNS


def read_conll_2012(text: str, path: Path) -> tuple[list[Document], str]:
    """Read a file of CoNLL-2012.

    RETURNS (tuple[list[Document], str]): The documents, and a description of what was read.
    RAISES (CorpusError): P001, P004, P010, P023.
    """
    blocks = list(_split(text, path))
    rows = [row for _, block in blocks for row in block]
    has_tags = is_part_of_speech(cells[TAG] for _, cells in rows)
    if rows and all(cells[WORD] == MISSING_WORD for _, cells in rows):
        advice = "Fill the words in from OntoNotes (skeleton2conll.sh of the shared task)."
        raise CorpusError(Errors.P010.format(path=path, kind="a CoNLL-2012 file without its words", advice=advice))
    documents: list[Document] = []
    for is_new, block in blocks:
        if is_new or not documents:
            documents.append(Document())
        sentence = _build(block, path, has_tags)
        if sentence is not None:
            documents[-1].sentences.append(sentence)
    documents = [document for document in documents if document.sentences]
    if not documents:
        raise CorpusError(Errors.P004.format(path=path))
    return documents, f"CoNLL-2012: word in column {WORD + 1}, entities in brackets in {ENTITY + 1}"


def _split(text: str, path: Path) -> Iterator[tuple[bool, list[Row]]]:
    """Yield sentences, each with whether a document begins with it."""
    block: list[Row] = []
    is_new = False
    for number, line in enumerate(text.split("\n"), start=1):
        cells = line.split()
        if cells and not line.startswith(("#begin", "#end")):
            if len(cells) < LEAST_COLUMNS:
                expected = f"{LEAST_COLUMNS} or more"
                text = shorten(line.strip())
                message = Errors.P001.format(path=path, line=number, expected=expected, got=len(cells), text=text)
                raise CorpusError(message)
            block.append((number, tuple(cells)))
            continue
        if block:
            yield is_new, block
            block, is_new = [], False
        is_new = is_new or line.startswith(BEGIN)
    if block:
        yield is_new, block


def _build(block: list[Row], path: Path, has_tags: bool) -> Sentence | None:
    entities: list[Entity] = []
    start, label = -1, ""
    for i, (_, cells) in enumerate(block):
        match = BRACKETS.fullmatch(cells[ENTITY])
        opens, closes = (bool(match and match[group]) for group in (1, 3))
        is_inside = start >= 0
        if not match or not cells[ENTITY] or (opens and is_inside) or (closes and not opens and not is_inside):
            raise _unbalanced(block[i], path)
        if opens:
            start, label = i, match[1]
        if closes:
            entities.append((start, i + 1, label))
            start = -1
    if start >= 0:
        raise _unbalanced(block[start], path)
    tags = [cells[TAG] for _, cells in block] if has_tags else []
    return build_sentence([cells[WORD] for _, cells in block], entities, tags)


def _unbalanced(row: Row, path: Path) -> CorpusError:
    number, cells = row
    return CorpusError(Errors.P023.format(place=f"{path}:{number}", cell=shorten(cells[ENTITY], 40)))
