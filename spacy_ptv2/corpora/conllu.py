"""CoNLL-U: entities, if there are any, are in the last column, MISC, as in `NER=B-PER`, under any name.

Source: https://universaldependencies.org/format.html.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ..errors import CorpusError, Errors
from .columns import Columns
from .schemes import OUTSIDE, is_tag
from .tables import Table

WIDTH = 10
MISC = 9


def read_misc(table: Table, columns: Columns) -> Columns:
    """Turn MISC into a column of tags if a table is CoNLL-U (or CoNLL-X, which has equally many columns).

    RAISES (CorpusError): P010 if there are no tags in MISC.
    """
    rows = table.rows()
    if table.width != WIDTH or columns.index is None or all(is_tag(cells[columns.tag]) for _, cells in rows):
        return columns
    values = [_parse_misc(cells[MISC]) for _, cells in rows]
    keys = Counter(key for value in values for key in value)
    usable = [key for key, _ in keys.most_common() if all(is_tag(value.get(key, OUTSIDE)) for value in values)]
    if not usable:
        kind = "CoNLL-U whose last column has no tags like NER=B-PER: parts of speech and trees, but no entities"
        advice = "`python -m spacy convert --converter conllu` reads it for a tagger or parser."
        raise CorpusError(Errors.P010.format(path=table.path, kind=kind, advice=advice))
    tags = iter([value.get(usable[0], OUTSIDE) for value in values])
    table.blocks = [[(line, (*cells[:MISC], next(tags))) for line, cells in block] for block in table.blocks]
    return replace(columns, tag=MISC)


def _parse_misc(cell: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in cell.split("|"))
    return {key: value for key, separator, value in pairs if separator}
