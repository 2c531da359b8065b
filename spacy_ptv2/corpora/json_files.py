"""JSON and JSON Lines: finds the entries of a file, their lines, and which of the known forms they have.

In: the text of a file. Out: Documents. A form is recognised by the keys of the entries. If it holds something other
than entities, the error names it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CorpusError, Errors
from .documents import Document
from .json_spans import SPAN_FORMS, read_span_texts
from .json_tokens import TOKEN_FORMS, read_token_entries
from .options import FileOptions
from .records import Record, fits, has
from .spans import Tokenize, build_texts
from .text import shorten

WRAPPERS = ("annotations", "examples", "data", "sentences")  # {"classes": [...], "annotations": [...]}
SPACE = " \t\r\n"


@dataclass(frozen=True)
class OtherForm:
    """A known form of JSON without entities that can be read."""

    kind: str
    matches: Callable[[Any], bool]
    advice: str


NO_READER = "Nothing here reads it: `token_classifier` trains on entities. Give a file that has them."
WITH_TASK = "It has no entities; `spacy ptv2 convert` and `data-report` read it with `--task {}`."
SQUAD, TEXTCAT, PAIRS, COPA, WIC = map(
    WITH_TASK.format, ("squad", "textcat", "pairs", "pairs` or `copa", "pairs` or `wic")
)
OTHER_FORMS = (
    OtherForm("SQuAD, questions and answers", lambda x: has(x, "paragraphs") and not _has_sentences(x), SQUAD),
    OtherForm("a set of text pairs (a form of SuperGLUE)", lambda x: has(x, "premise"), COPA),
    OtherForm("a set of text pairs (a form of SuperGLUE)", lambda x: has(x, "sentence1", "sentence2"), WIC),
    OtherForm("a set of questions with passages (a form of SuperGLUE)", lambda x: has(x, "question"), PAIRS),
    OtherForm(
        "the list of types that belongs to a corpus in SpERT's format",
        lambda x: has(x, "entities", "relations") and isinstance(x["entities"], dict),
        "Give the file next to it that has the sentences.",
    ),
    OtherForm(
        "a set of classified texts, with labels of whole texts instead of entities",
        lambda x: has(x, "cats") or any(has(x, "text", key) for key in ("label", "labels", "category", "intent")),
        TEXTCAT,
    ),
    OtherForm("a list of texts without annotations", lambda x: isinstance(x, str) or has(x, "text"), NO_READER),
)


def read_json(
    text: str, path: Path, options: FileOptions, tokenizer: Callable[[], Tokenize]
) -> tuple[list[Document], str]:
    """Read a file of JSON or JSON Lines.

    RETURNS (tuple[list[Document], str]): The documents, and a description of what was read.
    RAISES (CorpusError): P002, P004, P010-P016, P022, P025.
    """
    records = list(_read_records(text, path))
    if not records:
        raise CorpusError(Errors.P004.format(path=path))
    records = _unwrap(records)
    for token_form in TOKEN_FORMS:
        if any(fits(token_form.matches, record) for record in records):
            documents, layout = read_token_entries(token_form, records, path, options)
            return documents, f"{token_form.name}; {layout}"
    for span_form in SPAN_FORMS:
        if any(fits(span_form.matches, record) for record in records):
            texts, note = read_span_texts(span_form, records, path)
            tokenize = tokenizer()
            documents = build_texts(texts, path, tokenize, options)
            return documents, f"{span_form.name}; tokens of spacy.blank({tokenize.lang!r}){note}"
    for other in OTHER_FORMS:
        if any(fits(other.matches, record) for record in records):
            raise CorpusError(Errors.P010.format(path=path, kind=other.kind, advice=other.advice))
    raise CorpusError(Errors.P012.format(path=path, got=_describe(records[0].value)))


def is_json(text: str) -> bool:
    """Return whether a text begins like JSON or JSON Lines, and not like columns whose first word is a bracket."""
    start = text.lstrip(SPACE)
    rest = start[1:].lstrip(SPACE)[:1]
    return bool(start) and (
        (start[0] == "{" and rest in ('"', "}")) or (start[0] == "[" and rest in ("{", "[", '"', "]"))
    )


def _read_records(text: str, path: Path) -> Iterator[Record]:
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip(SPACE)]
    if len(lines) > 1 and _is_whole(lines[0][1]):
        for number, line in lines:
            yield Record(f"{path}:{number}", _decode(line, path, number)[0])
        return
    if text.lstrip(SPACE)[0] != "[":
        yield Record(f"{path}:{lines[0][0]}", _decode(text.strip(SPACE), path, lines[0][0])[0])
        return
    yield from _read_array(text, path)


def _read_array(text: str, path: Path) -> Iterator[Record]:
    """Yield the entries of an array one by one, so that the line of each is known."""
    at = seen = text.index("[") + 1
    line, number = 1 + text.count("\n", 0, at), 0
    while True:
        at = _skip(text, at)
        if text[at : at + 1] == "]":
            _decode(text[: at + 1] if number == 0 else "[]" + text[at + 1 :].strip(SPACE), path, line)
            return
        if number:
            if text[at : at + 1] != ",":
                raise CorpusError(
                    Errors.P011.format(place=f"{path}:{line}", kind="JSON", error="no comma after an entry")
                )
            at = _skip(text, at + 1)
        line, seen, number = line + text.count("\n", seen, at), at, number + 1
        value, at = _decode(text, path, line, at)
        yield Record(f"{path}:{line}, entry {number}", value)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in SPACE:
        at += 1
    return at


def _is_whole(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _decode(text: str, path: Path, line: int, at: int | None = None) -> tuple[Any, int]:
    """Decode a value and return it with its end. Without `at` the value must be the whole text."""
    try:
        return (json.loads(text), len(text)) if at is None else json.JSONDecoder().raw_decode(text, at)
    except json.JSONDecodeError as error:
        line = error.lineno if at is not None else line + error.lineno - 1
        problem = f"{error.msg} at character {error.colno} of the line"
    except (ValueError, RecursionError) as error:  # a number too long to read, brackets nested too deeply
        problem = shorten(error)
    raise CorpusError(Errors.P011.format(place=f"{path}:{line}", kind="JSON", error=problem))


def _unwrap(records: list[Record]) -> list[Record]:
    """Return the entries of a file that is one object with a list of entries; otherwise return the records."""
    value = records[0].value if len(records) == 1 else None
    if not isinstance(value, dict) or has(value, "text") or has(value, "ner") or isinstance(value.get("data"), dict):
        return records
    for key in WRAPPERS:
        items = value.get(key)
        if isinstance(items, list) and items and isinstance(items[0], dict | list):
            place = records[0].place
            return [
                Record(f"{place}, entry {i} of {key!r}", item) for i, item in enumerate(items, 1) if item is not None
            ]
    return records


def _has_sentences(value: Any) -> bool:
    return any(has(paragraph, "sentences") for paragraph in value["paragraphs"])


def _describe(value: Any) -> str:
    if isinstance(value, dict):
        return shorten("an object with the keys " + ", ".join(map(str, value)))
    return f"a {type(value).__name__}"
