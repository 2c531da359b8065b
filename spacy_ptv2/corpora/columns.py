"""Detects what each column of a table holds: an index, the word, its part of speech, the entity tag.

In: a `Table` and the user's choice. Out: `Columns`. The user's choice and names in a header come first, then the
content: a column that counts 1, 2, 3 in each sentence is an index, one that consists of tags is a tag column.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import CorpusError, Errors, Warnings
from .schemes import is_tag
from .tables import Row, Table
from .tagsets import is_chunk, is_part_of_speech
from .text import shorten

NAMES = {
    "index": ("id", "idx", "index", "token_id", "word_id", "token id"),
    "sentence": ("sentence #", "sentence", "sentence_id", "sent_id", "sentence id", "sentence_idx", "sent"),
    "word": ("word", "words", "token", "tokens", "form", "text"),
    "tag": (
        "tag", "tags", "ner", "ner_tag", "ner_tags", "ner tag", "ne", "entity", "entities", "label", "labels", "iob",
        "iob_tag", "bio", "bio_tag", "ne-coarse-lit", "named_entity", "named entity",
    ),
    "pos": ("xpos", "pos", "pos_tag", "postag", "pos tag", "pos_tags", "upos"),
}  # fmt: skip
MOST = 0.9  # the share of sentences that an index must count right: with a few mistakes it still is not the word
SPLIT_TOKEN = re.compile(r"\d+[-.]\d+")  # CoNLL-U: a token of several words, or a word that is not in the text


@dataclass(frozen=True)
class Columns:
    """Positions of columns, from 0; None for what a table does not have."""

    word: int
    tag: int
    pos: int | None = None
    index: int | None = None
    sentence: int | None = None


def find_columns(table: Table, word: int | str | None, tag: int | str | None) -> Columns:
    """Find the columns of a table. Removes its header and the rows that are not words.

    word, tag (int | str | None): The user's choice: a number from 1, or from -1 at the end, or a name in the header.
    RAISES (CorpusError): P004, P009.
    """
    named = _take_header(table, word, tag)
    index = named.get("index", 0 if _counts(table.blocks) else None)
    if index is not None:
        _drop_split_tokens(table, index)
    columns = _transpose(table)
    free = [i for i in range(table.width) if i not in (index, named.get("sentence"))]
    said_word = _locate(table, word) if word is not None else named.get("word")
    said_tag = _locate(table, tag) if tag is not None else named.get("tag")
    tag_at = _find_tags(table, columns, [i for i in free if i != said_word]) if said_tag is None else said_tag
    others = [i for i in free if i != tag_at]
    word_at = said_word if said_word is not None else next(iter(others), tag_at)
    others = [i for i in others if i != word_at]
    pos = named.get("pos", next((i for i in reversed(others) if is_part_of_speech(columns[i])), None))
    return Columns(word_at, tag_at, pos, index, named.get("sentence"))


def _transpose(table: Table) -> list[tuple[str, ...]]:
    columns = list(zip(*(cells for _, cells in table.rows()), strict=True))
    if not columns:
        raise CorpusError(Errors.P004.format(path=table.path))
    return columns


def _take_header(table: Table, *chosen: int | str | None) -> dict[str, int]:
    """Return the position of each kind of column that a header names, and remove the header from the rows."""
    chosen_names = {name.casefold() for name in chosen if isinstance(name, str) and not _is_number(name)}
    first = table.blocks[0][0][1] if table.blocks else ()
    if not table.header and _is_header([cell.casefold() for cell in first], chosen_names):
        table.header = list(first)
        table.blocks[0] = table.blocks[0][1:]
        if not table.blocks[0]:
            table.blocks = table.blocks[1:]
            table.document_starts = {max(i - 1, 0) for i in table.document_starts}
    if len(table.header) != table.width:
        table.header = []
    cells = [cell.casefold().rpartition(":")[2] for cell in table.header]  # CoNLL-U Plus has names like RONEC:IOB
    found = {kind: [cells.index(name) for name in names if name in cells] for kind, names in NAMES.items()}
    return {kind: positions[0] for kind, positions in found.items() if positions}


def _is_header(cells: list[str], chosen: set[str]) -> bool:
    names_word, names_tag = (any(cell in NAMES[kind] for cell in cells) for kind in ("word", "tag"))
    return bool(chosen & set(cells)) or (names_word and names_tag)


def _is_number(name: str) -> bool:
    return re.fullmatch(r"[+-]?\d+", name) is not None


def _locate(table: Table, column: int | str) -> int:
    """Return the position from 0 of a column that the user named or numbered."""
    if isinstance(column, str) and not _is_number(column):
        names = [name.casefold() for name in table.header]
        if column.casefold() in names:
            return names.index(column.casefold())
    else:
        number = int(column)
        if 0 < abs(number) <= table.width:
            return number - 1 if number > 0 else table.width + number
    known = f", named {', '.join(table.header)}" if table.header else "; the file has no header"
    raise CorpusError(Errors.P009.format(path=table.path, got=column, width=table.width, names=shorten(known)))


def _counts(blocks: Sequence[list[Row]]) -> bool:
    """Return whether the first cell counts from 0 or 1 within blocks, and there are other columns for the word."""
    if not blocks or len(blocks[0][0][1]) < 3 or max(map(len, blocks)) == 1:
        return False
    n_counting = 0
    for block in blocks:
        ids = [cells[0] for _, cells in block if not SPLIT_TOKEN.fullmatch(cells[0])]
        if not all(number.isdecimal() for number in ids):
            return False
        start = 0 if ids[:1] == ["0"] else 1
        n_counting += ids == [str(number) for number in range(start, start + len(ids))]
    return n_counting >= MOST * len(blocks)


def _drop_split_tokens(table: Table, index: int) -> None:
    for i, block in enumerate(table.blocks):
        if any("-" in cells[index] or "." in cells[index] for _, cells in block):
            table.blocks[i] = [row for row in block if not SPLIT_TOKEN.fullmatch(row[1][index])]


def _find_tags(table: Table, columns: list[tuple[str, ...]], candidates: list[int]) -> int:
    """Return the column that holds entity tags, or the one that looks most like it.

    Chunks (B-NP) do not count as entities if another column has entities. Of several tag columns the first is taken:
    later ones are nested (GermEval), finer (HIPE) or predictions (the input of conlleval). The first column of a file
    holds the tags only if no other can (MIT Movie).
    """
    counts = {i: Counter(columns[i]) for i in candidates}
    shares = {i: sum(n for value, n in counts[i].items() if is_tag(value)) for i in candidates}
    tags = [i for i in candidates if shares[i] >= len(columns[i]) / 2]  # a wrong tag does not rule a column out
    if len(tags) > 1 and tags[0] == 0:
        tags = tags[1:]
    if len(tags) > 1:
        tags = [i for i in tags if not is_chunk(counts[i])] or tags
    filled = [i for i in tags if set(counts[i]) != {"O"}]
    if len(filled) > 1:
        numbers = ", ".join(str(i + 1) for i in filled)
        warnings.warn(Warnings.PW22.format(path=table.path, columns=numbers, taken=filled[0] + 1), stacklevel=2)
    return (filled or tags or sorted(candidates, key=lambda i: (shares[i], i))[-1:] or [table.width - 1])[0]
