"""Columns of semantic roles as Docs: CoNLL-2005 props and CoNLL-2012, a sentence each, with its frames.

CoNLL-2005: `word lemma|- (A0* ...`, one column of brackets for each predicate, in the order of the sentence; further
columns between the word and the lemma may stand there. CoNLL-2012 (`#begin document`): word in column 4, lemma in 7,
sense in 8, named entities in 11, then the columns of brackets, and coreference last.
Sources: https://www.cs.upc.edu/~srlconll, Pradhan et al. 2012, https://aclanthology.org/W12-4501.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from ..annotations.names import PREDICATES
from ..annotations.roles import VERB, set_roles
from ..errors import CorpusError, Errors
from .conll2012 import BEGIN, is_conll_2012
from .faults import Faults
from .spacing import is_unspaced, spaces_between
from .text import read_text, shorten

CELL = re.compile(r"((?:\([^()*\s]+)*)\*(\)*)")
NOTHING = "-"
CONTINUED_VERB = f"C-{VERB}"
Row = tuple[int, Sequence[str]]  # line, columns


@dataclass(frozen=True)
class Columns:
    """Where columns are. word, lemma (int): From 0. roles (slice): Those of brackets."""

    word: int
    lemma: int
    roles: slice


CONLL_2012 = Columns(3, 6, slice(11, -1))


def read_props(path: Path, vocab: Vocab, *, lenient: bool = False) -> Iterator[Doc]:
    """Read a file with semantic roles.

    path (Path): The file.
    vocab (Vocab): Of the Docs.
    lenient (bool): Leave out sentences that are wrong, and warn of them at the end (PW30), instead of stopping.
    YIELDS (Doc): One for each sentence; those without a predicate included.
    RAISES (CorpusError): P004, P005, P006 for the file; P001, P035-P037 with the line for a sentence.
    """
    text = read_text(path)
    is_2012 = is_conll_2012(text)
    faults = Faults(path, lenient)
    n_sentences = 0
    for rows in _sentences(text, skip_comments=is_2012):
        n_sentences += 1
        try:
            yield _build(rows, CONLL_2012 if is_2012 else _find_columns(rows), path, vocab)
        except CorpusError as error:
            faults.add(str(error))
    if not n_sentences:
        raise CorpusError(Errors.P004.format(path=path))
    faults.sum_up(n_sentences, "sentences")


def _sentences(text: str, *, skip_comments: bool) -> Iterator[list[Row]]:
    rows: list[Row] = []
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        cells = line.split()
        if cells and not (skip_comments and line.startswith((BEGIN, "#end document"))):
            rows.append((number, cells))
        elif rows:
            yield rows
            rows = []


def _find_columns(rows: Sequence[Row]) -> Columns:
    """Return the columns of a sentence of CoNLL-2005: as many columns of brackets come last as there are lemmas."""
    width = min(len(cells) for _, cells in rows)
    for n_roles in range(width - 1):
        lemmas = [cells[width - n_roles - 1] for _, cells in rows]
        if sum(lemma != NOTHING for lemma in lemmas) == n_roles and not any("*" in lemma for lemma in lemmas):
            return Columns(0, width - n_roles - 1, slice(width - n_roles, width))
    return Columns(0, 1, slice(2, width))


def _build(rows: Sequence[Row], columns: Columns, path: Path, vocab: Vocab) -> Doc:
    width = len(rows[0][1])
    for line, cells in rows:
        if len(cells) != width or width < 2:
            text = shorten(" ".join(cells))
            expected = max(width, 2)
            raise CorpusError(Errors.P001.format(path=path, line=line, expected=expected, got=len(cells), text=text))
    lemmas = [cells[columns.lemma] for _, cells in rows]
    brackets = list(zip(*(cells[columns.roles] for _, cells in rows), strict=True))
    predicates, roles = [], []
    for column, cells_of_column in enumerate(brackets):
        spans = _spans([(line, cell) for (line, _), cell in zip(rows, cells_of_column, strict=True)], path)
        verbs = [(start, end) for start, end, label in spans if label == VERB]
        if len(verbs) != 1:
            where = f"{path}:{rows[0][0]}"
            raise CorpusError(Errors.P036.format(place=where, column=column + 1, got=len(verbs)))
        predicates.append((*verbs[0], _lemma(lemmas, spans)))
        roles.append([span for span in spans if span[2] != VERB])
    n_lemmas = sum(lemma != NOTHING for lemma in lemmas)
    is_2012 = columns is CONLL_2012  # which has a lemma for words that are no predicates too
    if n_lemmas != len(brackets) and not is_2012:
        where = f"{path}:{rows[0][0]}"
        raise CorpusError(Errors.P037.format(place=where, n_lemmas=n_lemmas, n_columns=len(brackets)))
    words = [cells[columns.word] for _, cells in rows]
    spaces = spaces_between(words) if is_unspaced(words) else None
    doc = Doc(vocab, words=words, spaces=spaces, sent_starts=[not i for i in range(len(rows))])
    doc.spans[PREDICATES] = [Span(doc, start, end, label=lemma) for start, end, lemma in predicates]
    set_roles(doc, roles)
    return doc


def _lemma(lemmas: Sequence[str], spans: Sequence[tuple[int, int, str]]) -> str:
    """Return the lemma of a predicate, which may stand beside any of its words: "two" (V) "timing" (C-V, twotime)."""
    pieces = [span for verb in (VERB, CONTINUED_VERB) for span in spans if span[2] == verb]
    named = (lemmas[place] for start, end, _ in pieces for place in range(start, end))
    return next((lemma for lemma in named if lemma != NOTHING), "")


def _spans(cells: Sequence[tuple[int, str]], path: Path) -> list[tuple[int, int, str]]:
    """Return (start, end, label) of a column of brackets, in the order of their starts."""
    spans: list[tuple[int, int, str]] = []
    opened: list[tuple[int, str]] = []
    for place, (line, cell) in enumerate(cells):
        match = CELL.fullmatch(cell)
        if match is None:
            raise CorpusError(Errors.P035.format(place=f"{path}:{line}", cell=shorten(cell, 40)))
        opened += [(place, label) for label in match[1].split("(")[1:]]
        for _ in match[2]:
            if not opened:
                raise CorpusError(Errors.P035.format(place=f"{path}:{line}", cell=shorten(cell, 40)))
            start, label = opened.pop()
            spans.append((start, place + 1, label))
    if opened:
        line, cell = cells[opened[-1][0]]
        raise CorpusError(Errors.P035.format(place=f"{path}:{line}", cell=shorten(cell, 40)))
    return sorted(spans)
