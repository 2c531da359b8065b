"""JSON forms that have a text and entities in characters, as annotation tools write them.

In: records. Out: `Text`s. Sources: Prodigy, https://prodi.gy/docs/api-interfaces; doccano,
https://doccano.github.io/doccano/; Label Studio, https://labelstud.io/guide/export; spaCy 2,
https://v2.spacy.io/usage/training.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CorpusError, Errors, Warnings
from .records import Record, check, check_integers, check_label, check_text, guard, has
from .spans import CharSpan, Text
from .text import shorten

TEXT_KEYS = ("text", "data")  # "data" is used by some releases of doccano
START_KEYS, END_KEYS = ("start", "start_offset"), ("end", "end_offset")


@dataclass(frozen=True)
class SpanForm:
    """A form of JSON with texts.

    matches (Callable[[Any], bool]): Returns whether an entry has this form; one without entities may not match.
    read (Callable[[Record], tuple[Any, Any]]): Returns the text of an entry and its entities, unchecked.
    """

    name: str
    matches: Callable[[Any], bool]
    read: Callable[[Record], tuple[Any, Any]]


def read_span_texts(form: SpanForm, records: list[Record], path: Path) -> tuple[list[Text], str]:
    """Read all entries of a file.

    RETURNS (tuple[list[Text], str]): The texts, and a note on what was left out.
    RAISES (CorpusError): P013, P015, P025.
    """
    accepted = [record for record in records if not _is_rejected(record.value)]
    repeated = [record.place for record in accepted if len(_finished(record.value)) > 1]
    if repeated:
        warnings.warn(Warnings.PW24.format(path=path, n=len(repeated), place=repeated[0]), stacklevel=2)
    texts = []
    for record in accepted:
        raw, spans = guard(form.read, record, form.name)
        text = check_text(record.place, raw)
        check(isinstance(spans, list), record.place, "a list of entities", spans)
        texts.append(Text(record.place, text, [found for span in spans for found in _read_span(span, text, record)]))
    left = len(records) - len(accepted)
    return texts, f", {left} rejected or unfinished entries left out" if left else ""


def _is_rejected(value: Any) -> bool:
    """Return whether an annotator rejected or skipped an entry (Prodigy's answer, cancelled in Label Studio)."""
    if has(value, "annotations") and isinstance(value["annotations"], list):
        return not _finished(value)
    return isinstance(value, dict) and value.get("answer", "accept") != "accept"


def _finished(value: Any) -> list[Any]:
    """Return the annotations of a Label Studio task that were not cancelled."""
    found = value.get("annotations") if isinstance(value, dict) else None
    if not isinstance(found, list):
        return []
    return [annotation for annotation in found if has(annotation, "result") and not annotation.get("was_cancelled")]


def _read_span(span: Any, text: str, record: Record) -> list[CharSpan]:
    """Read an entity. With several labels it becomes several entities."""
    if isinstance(span, list | tuple):
        check(len(span) >= 3, record.place, "entities as [start, end, label]", span)
        start, end, labels, quote = span[0], span[1], span[2], None
    else:
        check(isinstance(span, dict), record.place, "entities as objects or lists", span)
        start = next((span[key] for key in START_KEYS if key in span), None)
        end = next((span[key] for key in END_KEYS if key in span), None)
        labels, quote = span.get("labels", span.get("label")), span.get("text")
    check_integers(record.place, start, end)
    names = labels if isinstance(labels, list) else [labels]
    check(bool(names), record.place, "an entity with a label", span)
    if isinstance(quote, str):
        start, end = _locate(start, end, quote, text, record)
    return [CharSpan(start, end, check_label(record.place, name)) for name in names]


def _locate(start: int, end: int, quote: str, text: str, record: Record) -> tuple[int, int]:
    r"""Return offsets in characters. JavaScript counts an emoji as two; the entity's text shows which count it is."""
    if _same(text[start:end], quote):
        return start, end
    units = text.encode("utf-16-le")
    try:
        first = len(units[: 2 * start].decode("utf-16-le"))
        last = first + len(units[2 * start : 2 * end].decode("utf-16-le"))
    except UnicodeDecodeError:
        first = last = 0
    if first < last and _same(text[first:last], quote):
        return first, last
    got = f"{shorten(quote, 40)!r} where the text has {shorten(text[start:end], 40)!r}"
    raise CorpusError(Errors.P013.format(place=record.place, expected="offsets that fit the entity's text", got=got))


def _same(part: str, quote: str) -> bool:
    return part.split() == quote.split()  # white space is ignored: Label Studio writes line breaks as \n


def _text_of(value: dict[str, Any]) -> Any:
    return next((value[key] for key in TEXT_KEYS if key in value), None)


def _reader(*keys: str) -> Callable[[Record], tuple[Any, Any]]:
    """Return a function that reads a text, and its spans from the first of these keys that an entry has."""

    def read(record: Record) -> tuple[Any, Any]:
        value = record.value
        check(isinstance(value, dict), record.place, "an object with a text", value)
        return _text_of(value), next((value[key] for key in keys if value.get(key) is not None), [])

    return read


def _read_pair(record: Record) -> tuple[Any, Any]:
    check(_is_pair(record.value), record.place, "[text, {'entities': [...]}]", record.value)
    return record.value[0], record.value[1].get("entities", [])


def _read_task(record: Record) -> tuple[Any, Any]:
    """Read a Label Studio task: its text is the one in `data`, its entities are the results with labels."""
    check(_is_task(record.value), record.place, "a task with 'data' and 'annotations'", record.value)
    data = record.value["data"]
    texts = [data["text"]] if "text" in data else [value for value in data.values() if isinstance(value, str)]
    check(len(texts) == 1, record.place, "one text in 'data'", list(data))
    results = _finished(record.value)[0]["result"]
    return texts[0], [result["value"] for result in results if has(result, "value") and "labels" in result["value"]]


def _is_list_of_spans(value: Any) -> bool:
    return isinstance(value, list) and all(
        len(span) >= 3 if isinstance(span, list) else any(has(span, key) for key in START_KEYS) for span in value
    )


def _is_task(value: Any) -> bool:
    return has(value, "data", "annotations") and all(
        isinstance(value[key], kind) for key, kind in (("data", dict), ("annotations", list))
    )


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], dict)


def _with(key: str, *keys_of_span: str) -> Callable[[Any], bool]:
    """Return a function that tells whether an entry has a text, and spans under a key, one of them with these keys."""

    def matches(value: Any) -> bool:
        if not has(value, key) or not isinstance(_text_of(value), str) or not _is_list_of_spans(value[key]):
            return False
        return not keys_of_span or any(has(span, *keys_of_span) for span in value[key])

    return matches


SPAN_FORMS = (
    SpanForm("tasks of Label Studio", _is_task, _read_task),
    SpanForm("texts and spans as in Label Studio (JSON_MIN)", _with("label", "start", "labels"), _reader("label")),
    SpanForm("texts and spans as in Prodigy", _with("spans"), _reader("spans")),
    SpanForm("texts and spans as in doccano, with relations", _with("entities", "start_offset"), _reader("entities")),
    SpanForm("texts and spans as in doccano", _with("label"), _reader("label")),
    SpanForm("texts and spans as in doccano", _with("labels"), _reader("labels")),
    SpanForm("texts and entities", _with("entities"), _reader("entities")),
    SpanForm("texts and entities as in spaCy 2", lambda x: _is_pair(x) and "entities" in x[1], _read_pair),
)
