"""Make a SQuAD file with unanswerable questions, in the form of SQuAD 2.0, of one that has none.

python project/scripts/make_unanswerable.py INPUT.json OUTPUT.json [--share 0.3333] [--seed 0]

An unanswerable question is made by putting a question to another paragraph of its own article: one that has none of its
answers, as SQuAD's scores normalise texts, and does not ask the same itself. People wrote the unanswerable questions of
SQuAD 2.0 to look answerable; these are easier, and a few may have an answer in other words, so figures of the two do
not compare. What is there stays as it is, in its order; made questions come after the others of their paragraph.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
from wasabi import msg

from spacy_ptv2.scoring.squad import normalize

SHARE = 1 / 3  # of all questions: 43,498 of the 130,319 of SQuAD 2.0's training set


@dataclass
class Paragraph:
    """A paragraph of an article. text, asked: Its context and its questions, normalised. qas: Where made ones go."""

    text: str
    asked: set[str]
    qas: list[dict[str, Any]]


@dataclass
class Question:
    """A question that others can be made of. answers: Normalised. others: Paragraphs that it has not been put to."""

    entry: dict[str, Any]
    text: str
    answers: list[str]
    others: list[tuple[int, Paragraph]] = field(default_factory=list)


def main(
    source: Path,
    output: Path,
    share: float = typer.Option(SHARE, min=0.0, max=0.95, help="How many of all questions are to be unanswerable."),
    seed: int = 0,
) -> None:
    """Write the file. The same input, share and seed make the same output."""
    content = json.loads(source.read_text(encoding="utf8"))
    chance = random.Random(seed)
    questions = [question for article in content["data"] for question in read_article(article)]
    if any(entry.get("is_impossible") or not entry["answers"] for entry in (own.entry for own in questions)):
        msg.fail(f"{source} has unanswerable questions already", "Give a file of SQuAD 1.1.", exits=1)
    for question in questions:
        question.entry["is_impossible"] = False
        chance.shuffle(question.others)
    n_wanted = round(share / (1 - share) * len(questions))
    chance.shuffle(questions)
    with typer.progressbar(length=n_wanted, label="Questions") as bar:
        n_made = 0
        for _ in put_elsewhere(questions, n_wanted):
            n_made += 1
            bar.update(1)
    if n_made < n_wanted:
        msg.warn(f"No more than {n_made} of {n_wanted} unanswerable questions can be made of {source}.")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({**content, "version": "v2.0"}, ensure_ascii=False), encoding="utf8")
    msg.good(f"{output}: {len(questions)} questions with an answer, {n_made} without")


def read_article(article: dict[str, Any]) -> list[Question]:
    """Return the questions of an article, each with the other paragraphs."""
    paragraphs = [
        Paragraph(
            normalize(entry["context"]), {normalize(question["question"]) for question in entry["qas"]}, entry["qas"]
        )
        for entry in article["paragraphs"]
    ]
    numbered = list(enumerate(paragraphs))
    return [
        Question(
            entry,
            normalize(entry["question"]),
            [normalize(answer["text"]) for answer in entry["answers"]],
            [pair for pair in numbered if pair[1] is not own],
        )
        for own in paragraphs
        for entry in own.qas
    ]


def put_elsewhere(questions: list[Question], n_wanted: int) -> Iterator[dict[str, Any]]:
    """Put questions to other paragraphs, each once before any a second time, and yield what was made."""
    ids = {question.entry["id"] for question in questions}
    open_questions, n_made = questions, 0
    while open_questions and n_made < n_wanted:
        for question in open_questions:
            made = put_question(question, ids) if n_made < n_wanted else None
            if made is not None:
                n_made += 1
                yield made
        open_questions = [question for question in open_questions if question.others]


def put_question(question: Question, ids: set[str]) -> dict[str, Any] | None:
    """Put a question to the next paragraph that cannot answer it; None if there is none left."""
    while question.others:
        number, paragraph = question.others.pop()
        identifier = f"{question.entry['id']}-in-{number}"
        if can_answer(paragraph, question) or identifier in ids:
            continue
        made = {"question": question.entry["question"], "id": identifier, "answers": [], "is_impossible": True}
        paragraph.qas.append(made)
        paragraph.asked.add(question.text)
        ids.add(identifier)
        return made
    return None


def can_answer(paragraph: Paragraph, question: Question) -> bool:
    """Return whether an answer is somewhere in a paragraph, or the paragraph asks the same."""
    return question.text in paragraph.asked or any(answer in paragraph.text for answer in question.answers)


if __name__ == "__main__":
    typer.run(main)
