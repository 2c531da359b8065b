"""Questions of a Doc and their answers, in extension attributes that `DocBin(store_user_data=True)` saves.

`doc._.questions` is a list of texts. `doc._.answers` has for each of them a list of answers, the best first, as plain
dicts in the form that users know from Hugging Face's pipeline: {"answer", "score", "start", "end"}, offsets in
characters of the Doc. Gold answers have no score; a question without any is unanswerable. A prediction that the Doc has
no answer is {"answer": "", "score": ..., "start": 0, "end": 0}. `doc._.no_answer` has for each question the probability
that there is none.
"""

from __future__ import annotations

from typing import Any, TypedDict

from spacy.tokens import Doc

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


def official_predictions(docs: list[Doc]) -> tuple[dict[str, str], dict[str, float]]:
    """Return predictions in the form of SQuAD's official files: {id: text} and {id: probability of no answer}.

    docs (list[Doc]): With `doc._.question_ids`.
    """
    texts: dict[str, str] = {}
    no_answer: dict[str, float] = {}
    for doc in docs:
        ids: list[Any] = doc._.get(QUESTION_IDS) or []
        for number, (identifier, answers) in enumerate(zip(ids, answers_of(doc), strict=True)):
            texts[identifier] = answers[0]["answer"] if answers else ""
            no_answer[identifier] = (doc._.get(NO_ANSWER) or [0.0] * len(ids))[number]
    return texts, no_answer


for _name in (QUESTIONS, QUESTION_IDS, ANSWERS, NO_ANSWER):
    add_extension(_name)
