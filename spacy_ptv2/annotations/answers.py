"""Questions of a Doc and their answers, in extension attributes that `DocBin(store_user_data=True)` saves.

`doc._.questions` is a list of texts. `doc._.answers` has for each of them a list of answers, the best first, as plain
dicts in the form that users know from Hugging Face's pipeline: {"answer", "score", "start", "end"}, offsets in
characters of the Doc. Gold answers have no score; a question without any is unanswerable. A prediction that the Doc has
no answer is {"answer": "", "score": ..., "start": 0, "end": 0}. `doc._.no_answer` has for each question the probability
that there is none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from spacy.tokens import Doc

from ..errors import Errors, PTuningError
from .names import ANSWERS, NO_ANSWER, QUESTION_IDS, QUESTIONS, add_extension


class Answer(TypedDict, total=False):
    """A stretch of a Doc. start, end: In characters, end exclusive. score: From 0 to 1; gold answers have none."""

    answer: str
    score: float
    start: int
    end: int


def gold_answer(text: str, start: int) -> Answer:
    """Return a gold answer. start (int): Its first character in the Doc."""
    return {"answer": text, "start": start, "end": start + len(text)}


def answers_of(doc: Doc) -> list[list[Answer]]:
    """Return the answers to each question of a Doc. `DocBin` makes tuples of lists."""
    return [list(answers) for answers in doc._.get(ANSWERS) or ()]


def official_predictions(docs: Iterable[Doc]) -> tuple[dict[str, str], dict[str, float]]:
    """Return predictions in the form of SQuAD's official files: {id: text} and {id: probability of no answer}.

    docs (Iterable[Doc]): With `doc._.question_ids`.
    RAISES (PTuningError): P052 if a Doc has not as many ids as answers, P053 if two questions have one id.
    """
    texts: dict[str, str] = {}
    no_answer: dict[str, float] = {}
    for doc in docs:
        ids, found = list(doc._.get(QUESTION_IDS) or ()), answers_of(doc)
        if len(ids) != len(found):
            raise PTuningError(Errors.P052.format(text=doc.text[:50], n_answers=len(found), n_ids=len(ids)))
        probabilities = doc._.get(NO_ANSWER) or [0.0] * len(ids)
        for identifier, answers, probability in zip(ids, found, probabilities, strict=True):
            if identifier in texts:
                raise PTuningError(Errors.P053.format(idx=repr(identifier)))
            texts[identifier] = answers[0]["answer"] if answers else ""
            no_answer[identifier] = probability
    return texts, no_answer


for _name in (QUESTIONS, QUESTION_IDS, ANSWERS, NO_ANSWER):
    add_extension(_name)
