"""Texts and pairs of texts with a label, in rows with named columns, and SuperGLUE's tasks of that kind.

In: rows (`rows.py`). Out: Docs with `doc.cats`, pairs with `doc._.second_text`; what else is on the Docs of SuperGLUE,
`superglue.py` says. The `idx` of rows that have one is kept as `doc._.idx`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from spacy.tokens import Doc

from ..annotations.names import CHOICE, IDX, SECOND_TEXT, add_extension, attribute_of
from ..errors import CorpusError, Errors
from .faults import Faults
from .records import Record, check, filled_text
from .rows import read_rows
from .spans import Tokenize
from .superglue import read_copa, read_wic, read_wsc

TEXT, SECOND, LABEL = "text", "second_text", "label"


@dataclass(frozen=True)
class Form:
    """What the columns of a task are called.

    columns (Mapping[str, tuple[str, ...]]): The possible names of each column that `build` asks for.
    build (Callable): Makes a Doc of a row's columns, its label apart.
    booleans (tuple[str, str]): What labels that are false and true are called, as SuperGLUE's predictions have them.
    """

    columns: Mapping[str, tuple[str, ...]]
    build: Callable[[Record, Tokenize], Doc]
    booleans: tuple[str, str] = ("false", "true")


def read_labelled_texts(
    path: Path,
    tokenize: Tokenize,
    task: str,
    *,
    columns: Mapping[str, str] | None = None,
    lenient: bool = False,
) -> list[Doc]:
    """Read the rows of a file.

    task (str): One of `FORMS`.
    columns (Mapping[str, str] | None): The names of "text", "second_text" and "label", where they are unusual.
    lenient (bool): Leave out rows that are wrong, and warn of them at the end (PW30), instead of stopping.
    RETURNS (list[Doc]): One for each row.
    RAISES (CorpusError): As `read_rows`; P040 for a missing column, P043, P013 and P041 for a row.
    """
    form, rows = FORMS[task], read_rows(path)
    for column in columns or ():
        if column not in form.columns:
            raise CorpusError(Errors.P043.format(got=column, task=task, expected=", ".join(form.columns)))
    names = {column: _find(column, known, rows[0], path, columns or {}) for column, known in form.columns.items()}
    faults, found = Faults(path, lenient), []
    for row in rows:
        try:
            values = {column: row.value.get(name) for column, name in names.items()}
            label = values.pop(LABEL, None)
            doc = form.build(Record(row.place, values), tokenize)
            found.append((doc, _label(label, row.place, form.booleans)))
            if "idx" in row.value:
                add_extension(IDX)
                doc._.set(IDX, row.value["idx"])
        except CorpusError as error:
            faults.add(str(error))
    faults.sum_up(len(rows), "rows")
    labels = sorted({label for _, label in found})
    for doc, label in found:
        if attribute_of(doc, CHOICE) is None:
            doc.cats = {other: float(other == label) for other in labels}
    return [doc for doc, _ in found]


def _find(column: str, known: tuple[str, ...], row: Record, path: Path, columns: Mapping[str, str]) -> str:
    name = columns.get(column)
    found = [name] if name in row.value else [] if name else [other for other in known if other in row.value]
    if not found or found[0] is None:
        expected = repr(name) if name else " or ".join(map(repr, known))
        got = ", ".join(map(repr, row.value))
        raise CorpusError(Errors.P040.format(path=path, column=column, expected=expected, got=got))
    return str(found[0])


def _label(value: object, place: str, booleans: tuple[str, str]) -> str:
    """Return a label as text: numbers as they are."""
    is_label = isinstance(value, str | int | bool) and bool(str(value).strip())
    check(is_label, place, "a row with a label", value)
    return booleans[value] if isinstance(value, bool) else str(value).strip()


def _single(record: Record, tokenize: Tokenize) -> Doc:
    return tokenize.make_doc(filled_text(record, TEXT))


def _pair(record: Record, tokenize: Tokenize) -> Doc:
    doc = _single(record, tokenize)
    add_extension(SECOND_TEXT)
    doc._.set(SECOND_TEXT, filled_text(record, SECOND))
    return doc


def _plain(*names: str) -> dict[str, tuple[str, ...]]:
    return {name: (name,) for name in names}


FIRST_TEXTS = ("text", "text1", "sentence1", "premise", "passage")
SECOND_TEXTS = ("second_text", "text2", "sentence2", "hypothesis", "question")
LABELS = {LABEL: ("label", "category", "intent", "class", "gold_label")}
FORMS = {
    "textcat": Form({TEXT: ("text", "sentence", "content"), **LABELS}, _single),
    "pairs": Form({TEXT: FIRST_TEXTS, SECOND: SECOND_TEXTS, **LABELS}, _pair),
    "copa": Form(
        {TEXT: ("premise",), **_plain("choice1", "choice2", "question"), "right": ("label",), **LABELS}, read_copa
    ),
    "wic": Form({**_plain("sentence1", "sentence2", "start1", "end1", "start2", "end2"), **LABELS}, read_wic),
    "wsc": Form({**_plain("text", "target"), **LABELS}, read_wsc, ("False", "True")),
}
