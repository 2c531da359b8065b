"""SQuAD's JSON, 1.1 and 2.0, as Docs: a paragraph each, with its questions and gold answers.

In: {"data": [{"paragraphs": [{"context", "qas": [{"id", "question", "answers": [{"text", "answer_start"}],
"is_impossible"}]}]}]}. Out: Docs with `doc._.questions`, `doc._.question_ids` and `doc._.answers`.
Source: https://rajpurkar.github.io/SQuAD-explorer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spacy.tokens import Doc

from ..annotations.answers import Answer, gold_answer
from ..annotations.names import ANSWERS, QUESTION_IDS, QUESTIONS
from ..errors import CorpusError, Errors
from .faults import Faults
from .records import Record, check, check_text, guard, has
from .spans import Tokenize
from .text import read_text, shorten

NAME = "SQuAD's form: {data: [{paragraphs: [{context, qas}]}]}"


def read_squad(path: Path, tokenize: Tokenize, *, lenient: bool = False) -> Iterator[Doc]:
    """Read a file of SQuAD.

    path (Path): The JSON file.
    tokenize (Tokenize): For the contexts.
    lenient (bool): Leave out what is wrong, and warn of it at the end (PW30), instead of stopping.
    YIELDS (Doc): One for each paragraph with a question.
    RAISES (CorpusError): P005, P006, P011, P013, P025 for a file that is not of this form; P030-P033 for a question.
    """
    try:
        content = json.loads(read_text(path))
    except ValueError as error:
        raise CorpusError(Errors.P011.format(place=path, kind="JSON", error=error)) from error
    check(has(content, "data") and isinstance(content["data"], list), str(path), NAME, content)
    reader = _Reader(path, Faults(path, lenient))
    for number, article in enumerate(content["data"]):
        record = Record(f"{path}: article {number + 1}", article)
        for place, paragraph in guard(_paragraphs, record, NAME):
            doc = guard(lambda entry: reader.read(entry, tokenize), Record(place, paragraph), NAME)
            if doc is not None:
                yield doc
    if not reader.n_questions:
        raise CorpusError(Errors.P034.format(path=path))
    reader.faults.sum_up(reader.n_questions, "questions")


def _paragraphs(record: Record) -> list[tuple[str, Any]]:
    paragraphs = record.value["paragraphs"]
    return [(f"{record.place}, paragraph {number + 1}", paragraph) for number, paragraph in enumerate(paragraphs)]


class _Reader:
    """Reads paragraphs, and knows which questions there were. path, faults: Of the file."""

    def __init__(self, path: Path, faults: Faults) -> None:
        self.path = path
        self.faults = faults
        self.n_questions = 0
        self._ids: set[str] = set()

    def read(self, record: Record, tokenize: Tokenize) -> Doc | None:
        """Return a paragraph; None if no question of it can be used."""
        context = check_text(record.place, record.value["context"])
        found = [self._question(record.place, question, context) for question in record.value["qas"]]
        questions = [question for question in found if question is not None]
        if not questions:
            return None
        doc = tokenize.make_doc(context)
        for attribute, values in zip((QUESTION_IDS, QUESTIONS, ANSWERS), zip(*questions, strict=True), strict=True):
            doc._.set(attribute, list(values))
        return doc

    def _question(self, place: str, entry: Any, context: str) -> tuple[str, str, list[Answer]] | None:
        """Return id, text and gold answers of a question; None for one that is left out."""
        self.n_questions += 1
        identifier = check_text(place, entry["id"])
        question = check_text(f"{place}, question {identifier!r}", entry["question"])
        place = f"{self.path}: question {identifier!r}"
        if identifier in self._ids:
            self.faults.add(Errors.P031.format(place=place))
            return None
        self._ids.add(identifier)
        if not question.strip() or not context.strip():
            self.faults.add(Errors.P032.format(place=place, what="question" if context.strip() else "context"))
            return None
        given = entry.get("answers") or []
        answers = [answer for answer in (self._answer(place, own, context) for own in given) if answer is not None]
        is_impossible = bool(entry.get("is_impossible", False))
        if is_impossible and given:
            self.faults.add(Errors.P033.format(place=place, text=shorten(given[0]["text"], 40)))
            return None
        if given and not answers:
            return None
        return identifier, question, answers

    def _answer(self, place: str, entry: Any, context: str) -> Answer | None:
        text, start = check_text(place, entry["text"]), entry["answer_start"]
        is_place = isinstance(start, int) and not isinstance(start, bool) and start >= 0
        if not is_place or not text or context[start : start + len(text)] != text:
            got = context[start : start + max(len(text), 1)] if is_place else ""
            message = Errors.P030.format(place=place, text=shorten(text, 40), start=start, got=shorten(got, 40))
            self.faults.add(message)
            return None
        return gold_answer(text, start)
