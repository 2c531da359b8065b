"""CoNLL-U: entities, if there are any, are in the last column, MISC, as in `NER=B-PER`, under any name.

In: a `Table`, whose MISC becomes a column of tags; or a file of parts of speech and trees alone, which spaCy's own
converter turns into Docs. Source: https://universaldependencies.org/format.html.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from spacy.tokens import Doc
from spacy.training.converters import conllu_to_docs  # type: ignore[attr-defined]

from ..errors import CorpusError, Errors, NoEntitiesError
from .columns import Columns
from .schemes import OUTSIDE, is_tag
from .tables import Table
from .text import read_text, shorten

WIDTH = 10
MISC = 9
CONVERT = (
    "`python -m spacy convert {path} FOLDER --converter conllu --n-sents 10` reads it for a tagger or parser, and "
    "`spacy ptv2 data-report` reports on it."
)


def read_misc(table: Table, columns: Columns) -> Columns:
    """Turn MISC into a column of tags if a table is CoNLL-U (or CoNLL-X, which has equally many columns).

    RAISES (NoEntitiesError): P010 if there are no tags in MISC.
    """
    rows = table.rows()
    if table.width != WIDTH or columns.index is None or all(is_tag(cells[columns.tag]) for _, cells in rows):
        return columns
    values = [_parse_misc(cells[MISC]) for _, cells in rows]
    keys = Counter(key for value in values for key in value)
    usable = [key for key, _ in keys.most_common() if all(is_tag(value.get(key, OUTSIDE)) for value in values)]
    if not usable:
        kind = "CoNLL-U whose last column has no tags like NER=B-PER: parts of speech and trees, but no entities"
        advice = CONVERT.format(path=table.path)
        raise NoEntitiesError(Errors.P010.format(path=table.path, kind=kind, advice=advice))
    tags = iter([value.get(usable[0], OUTSIDE) for value in values])
    table.blocks = [[(line, (*cells[:MISC], next(tags))) for line, cells in block] for block in table.blocks]
    return replace(columns, tag=MISC)


def _parse_misc(cell: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in cell.split("|"))
    return {key: value for key, separator, value in pairs if separator}


def read_trees(path: Path) -> Iterator[Doc]:
    """Read CoNLL-U for its parts of speech and trees. YIELDS (Doc): One for each sentence.

    RAISES (CorpusError): P005, P006; P850 if spaCy's converter cannot read the file.
    """
    blocks = re.split(r"\n\s*\n", read_text(path).strip())
    sentences = [block for block in blocks if any(not line.startswith("#") for line in block.split("\n"))]
    try:
        yield from conllu_to_docs("\n\n".join(sentences), n_sents=1, no_print=True)  # type: ignore[no-untyped-call]
    except (IndexError, KeyError, ValueError) as error:  # it expects a file without mistakes
        raise CorpusError(Errors.P850.format(path=path, error=shorten(error))) from error
