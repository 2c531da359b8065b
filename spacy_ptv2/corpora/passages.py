"""The tasks of SuperGLUE with passages: MultiRC, a Doc for each answer, and ReCoRD, a Doc for each query.

MultiRC, a line: {"idx", "passage": {"text", "questions": [{"idx", "question", "answers": [{"idx", "text",
"label"}]}]}}. Out: the passage, with the question and one answer as `doc._.second_text`, and 0 or 1 in `doc.cats`.
ReCoRD, a line: {"idx", "passage": {"text", "entities": [{"start", "end"}]}, "qas": [{"idx", "query", "answers":
[{"text"}]}]}, `end` inclusive. Out: the passage, with the query as `doc._.second_text` as often as there are
candidates, one in place of @placeholder each; the candidates, which are the different texts of entities, in
`doc._.candidates`, and the numbers of the right ones in `doc._.choice`.
`doc._.idx` keeps the numbers of passage and question, and of the answer.
Source: Wang et al. 2019, section 3, https://arxiv.org/abs/1905.00537.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy.tokens import Doc

from ..annotations.names import CANDIDATES, CHOICE, IDX, SECOND_TEXT, add_extension
from ..errors import CorpusError, Errors
from .faults import Faults
from .records import Record, check, filled_text, guard
from .rows import read_rows
from .spans import Tokenize
from .text import shorten

PLACEHOLDER = "@placeholder"
MULTIRC_LABELS = ("0", "1")


@dataclass(frozen=True)
class PassageForm:
    """How the lines of a task are read.

    name (str): Its form, for messages. what (str): What its Docs are made of, in the plural.
    entries (Callable): Returns the entries of a line, each with its `idx`.
    build (Callable): Makes a Doc of an entry.
    """

    name: str
    what: str
    entries: Callable[[Record], list[Record]]
    build: Callable[[Record, Tokenize], Doc]


def read_passages(path: Path, tokenize: Tokenize, task: str, *, lenient: bool = False) -> Iterator[Doc]:
    """Read a file of MultiRC or ReCoRD.

    task (str): One of `PASSAGE_FORMS`.
    lenient (bool): Leave out entries that are wrong, and warn of them at the end (PW30), instead of stopping.
    YIELDS (Doc): One for each entry.
    RAISES (CorpusError): As `read_rows`; P013 and P041, P045-P047 for an entry; P048 if there is none.
    """
    form, rows = PASSAGE_FORMS[task], read_rows(path)
    faults, n_entries = Faults(path, lenient), 0
    seen: set[str] = set()
    for row in rows:
        try:
            entries = guard(form.entries, row, form.name)
        except CorpusError as error:
            n_entries += 1
            faults.add(str(error))
            continue
        n_entries += len(entries)
        for entry in entries:
            try:
                yield _read_entry(entry, form, tokenize, seen)
            except CorpusError as error:
                faults.add(str(error))
    if not n_entries:
        raise CorpusError(Errors.P048.format(path=path, what=form.what, expected=form.name))
    faults.sum_up(n_entries, form.what)


def _read_entry(entry: Record, form: PassageForm, tokenize: Tokenize, seen: set[str]) -> Doc:
    """Return the Doc of an entry. seen (set[str]): The `idx` of earlier ones, to which its own is added."""
    idx = json.dumps(entry.value["idx"], sort_keys=True)
    if idx in seen:
        raise CorpusError(Errors.P045.format(place=entry.place, idx=idx))
    seen.add(idx)
    doc = guard(lambda record: form.build(record, tokenize), entry, form.name)
    add_extension(IDX)
    doc._.set(IDX, entry.value["idx"])
    return doc


def _answers(row: Record) -> list[Record]:
    number, passage = row.value["idx"], row.value["passage"]
    entries = []
    for question in passage["questions"]:
        for answer in question["answers"]:
            idx = {"paragraph": number, "question": question["idx"], "answer": answer["idx"]}
            value = {"idx": idx, "text": passage["text"], "question": question["question"]}
            value |= {"answer": answer["text"], "label": answer["label"]}
            place = f"{row.place}, question {question['idx']}, answer {answer['idx']}"
            entries.append(Record(place, value))
    return entries


def _build_answer(entry: Record, tokenize: Tokenize) -> Doc:
    label = entry.value["label"]
    check(label in (0, 1), entry.place, "a label that is 0 or 1", label)
    doc = tokenize.make_doc(filled_text(entry, "text"))
    add_extension(SECOND_TEXT)
    doc._.set(SECOND_TEXT, f"{filled_text(entry, 'question')} {filled_text(entry, 'answer')}")
    doc.cats = {name: float(number == label) for number, name in enumerate(MULTIRC_LABELS)}
    return doc


def _queries(row: Record) -> list[Record]:
    number, passage = row.value["idx"], row.value["passage"]
    return [
        Record(
            f"{row.place}, query {query['idx']}",
            {
                "idx": {"passage": number, "query": query["idx"]},
                "text": passage["text"],
                "entities": passage["entities"],
                "query": query["query"],
                "answers": [answer["text"] for answer in query["answers"]],
            },
        )
        for query in row.value["qas"]
    ]


def _build_query(entry: Record, tokenize: Tokenize) -> Doc:
    text, query, answers = filled_text(entry, "text"), filled_text(entry, "query"), entry.value["answers"]
    if PLACEHOLDER not in query:
        raise CorpusError(Errors.P046.format(place=entry.place, query=shorten(query)))
    candidates = _candidates(entry, text)
    wrong = [answer for answer in answers if answer not in candidates]
    if wrong or not answers:
        got = repr(shorten(wrong[0], 40)) if wrong else "no answer"
        raise CorpusError(Errors.P047.format(place=entry.place, got=got, n=len(candidates)))
    doc = tokenize.make_doc(text)
    for attribute in (SECOND_TEXT, CANDIDATES, CHOICE):
        add_extension(attribute)
    doc._.set(SECOND_TEXT, [query.replace(PLACEHOLDER, candidate) for candidate in candidates])
    doc._.set(CANDIDATES, candidates)
    doc._.set(CHOICE, sorted({candidates.index(answer) for answer in answers}))
    return doc


def _candidates(entry: Record, text: str) -> list[str]:
    """Return the different texts of the entities of a passage, in their order."""
    found: dict[str, Any] = {}
    for entity in entry.value["entities"]:
        start, end = entity["start"], entity["end"]
        is_within = all(isinstance(at, int) for at in (start, end)) and 0 <= start <= end < len(text)
        check(is_within, entry.place, "entities within the passage, their end inclusive", entity)
        found[text[start : end + 1]] = None
    return list(found)


PASSAGE_FORMS = {
    "multirc": PassageForm(
        'MultiRC\'s form: {"idx", "passage": {"text", "questions": [{"idx", "question", "answers"}]}}',
        "answers",
        _answers,
        _build_answer,
    ),
    "record": PassageForm(
        'ReCoRD\'s form: {"idx", "passage": {"text", "entities"}, "qas": [{"idx", "query", "answers"}]}',
        "queries",
        _queries,
        _build_query,
    ),
}
