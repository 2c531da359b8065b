"""Finds entities with what `spacy ptv2 export-onnx` wrote. Needs onnxruntime, tokenizers and numpy, and nothing else.

In: a file with a text per line, or with a word per line and an empty line after each text. Out: a JSON line per text,
with offsets. For the same words the entities are those of the pipeline.

python examples/onnx/annotate.py FOLDER texts.txt
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

FORMAT_VERSION = 1
BATCH_PIECES = 4096  # in one run, padding included
TEXTS_AT_ONCE = 256
Span = tuple[int, int]
Array = np.ndarray[Any, Any]


class Entity(NamedTuple):
    """An entity. start, end (int): In characters, or in words. score (float): Its confidence, from 0 to 1."""

    start: int
    end: int
    label: str
    score: float


@dataclass
class Document:
    """A text with its words, which are not spaces.

    words (list[Span]): Where each word is in the text.
    ids (Array): Piece ids. shapes (Array): The class of each piece's word. Shape of both: (n_pieces,)
    first, last (Array): The first and last piece of each word. Shape of both: (n_words,)
    """

    text: str
    words: list[Span]
    ids: Array
    shapes: Array
    first: Array
    last: Array


class Recognizer:
    """An exported recognizer.

    folder (str | Path): What `spacy ptv2 export-onnx` wrote.
    threads (int): How many threads a run has; 0 for one per core.
    """

    def __init__(self, folder: str | Path, threads: int = 0) -> None:
        folder = Path(folder)
        self.task: dict[str, Any] = json.loads((folder / "task.json").read_text(encoding="utf8"))
        if self.task["format_version"] != FORMAT_VERSION:
            raise ValueError(f"{folder}: expected version {FORMAT_VERSION}, got {self.task['format_version']}")
        self.tokenizer: Tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.encode_special_tokens = True  # "[SEP]" in a text is a text
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        file = str(folder / "model.onnx")
        self.session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        self.inputs = [entry.name for entry in self.session.get_inputs()]
        self.tags: list[str] = self.task["tags"]
        may_follow = {"iob2": may_follow_iob2, "biluo": may_follow_biluo}[self.task["scheme"]]
        self.allowed = np.array([[may_follow(a, b) for b in self.tags] for a in self.tags])
        special = self.task["special_pieces"]
        self.before, self.after = np.array(special["before"], dtype=int), np.array(special["after"], dtype=int)
        self.never_text = set(special["never_text"])

    def in_texts(self, texts: Sequence[str]) -> list[list[Entity]]:
        """Return the entities of each text, in characters. Words end at spaces and before and after punctuation."""
        return self.find([(text, list(split_words(text))) for text in texts])

    def in_words(self, texts: Sequence[Sequence[str]]) -> list[list[Entity]]:
        """Return the entities of each list of words, in words. Words that are empty or spaces are in none."""
        joined = [join_words(words) for words in texts]
        found = self.find([(text, [span for _, span in words]) for text, words in joined])
        by_start = [{start: number for number, (start, _) in words} for _, words in joined]
        by_end = [{end: number + 1 for number, (_, end) in words} for _, words in joined]
        return [
            [Entity(first[start], last[end], *rest) for start, end, *rest in entities]
            for entities, first, last in zip(found, by_start, by_end, strict=True)
        ]

    def find(self, texts: Sequence[tuple[str, list[Span]]]) -> list[list[Entity]]:
        """Return the entities of each text, in characters, given where its words are."""
        documents = [self._read(text, words) for text, words in texts]
        windows = [
            (number, start, end)
            for number, document in enumerate(documents)
            if document.words
            for start, end in self._windows(len(document.ids))
        ]
        scores: list[Array] = [np.zeros(0)] * len(windows)
        for group in batches([end - start for _, start, end in windows], len(self.before) + len(self.after)):
            rows = [self._framed(documents[number], start, end) for number, start, end in (windows[i] for i in group)]
            for place, own in zip(group, self._run(rows), strict=True):
                scores[place] = own
        by_document: list[list[tuple[int, Array]]] = [[] for _ in documents]
        for (number, start, _), own in zip(windows, scores, strict=True):
            by_document[number].append((start, own))
        return [self._entities(*pair) for pair in zip(documents, by_document, strict=True)]

    def _read(self, text: str, words: list[Span]) -> Document:
        """Split a text into pieces, and find those of each word."""
        pieces = self._pieces(text)
        ids, offsets = np.array([piece for piece, _ in pieces], dtype=int), [span for _, span in pieces]
        spans, places = np.array(offsets, dtype=int).reshape(-1, 2), np.array(words, dtype=int).reshape(-1, 2)
        # Pieces are nearly in reading order. With ascending offsets a search finds those that overlap with a word.
        starts, ends = np.minimum.accumulate(spans[::-1, 0])[::-1], np.maximum.accumulate(spans[:, 1])
        first = np.searchsorted(ends, places[:, 0], side="right")
        last = np.searchsorted(starts, places[:, 1], side="left") - 1
        dropped = first > last  # by the tokenizer: such a word gets the piece before it, or else the one after
        first = np.where(dropped, np.maximum(first - 1, 0), first)
        shapes = np.zeros(len(ids), dtype=int)
        if self.task["word_shapes"] and len(words):
            of_words = np.array([self.task["word_shapes"].index(word_shape(text[a:b])) for a, b in words])
            shapes = of_words[np.minimum(np.searchsorted(places[:, 1], spans[:, 0], "right"), len(words) - 1)]
        return Document(text, words, ids, shapes, first, np.where(dropped, first, last))

    def _pieces(self, text: str) -> list[tuple[int, Span]]:
        """Return the pieces of a text and where they are. A piece that no text may have is cut inside."""
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        pieces = list(zip(encoding.ids, encoding.offsets, strict=True))
        cuts = [start + 1 for piece, (start, end) in pieces if piece in self.never_text and end - start > 1]
        if not cuts:
            return pieces
        parts = [(start, self._pieces(text[start:end])) for start, end in pairwise([0, *cuts, len(text)])]
        return [(piece, (start + a, start + b)) for start, own in parts for piece, (a, b) in own]

    def _windows(self, n_pieces: int) -> list[Span]:
        """Return the windows over a text. The last one is moved back so that it is full."""
        room = self.task["window"]["length"] - len(self.before) - len(self.after)
        if n_pieces <= room:
            return [(0, n_pieces)]
        step = room - self.task["window"]["overlap"]
        return [(start, start + room) for start in (*range(0, n_pieces - room, step), n_pieces - room)]

    def _framed(self, document: Document, start: int, end: int) -> tuple[Array, Array]:
        """Return the pieces of a window and the classes of their words, with special pieces around them."""
        ids = np.concatenate([self.before, document.ids[start:end], self.after])
        shapes = np.zeros(len(ids), dtype=int)
        shapes[len(self.before) : len(self.before) + end - start] = document.shapes[start:end]
        return ids, shapes

    def _run(self, rows: Sequence[tuple[Array, Array]]) -> list[Array]:
        """Return the scores of tags for the pieces of each window. Shape of each: (n_pieces, n_tags)"""
        shape = len(rows), max(len(ids) for ids, _ in rows)
        pieces = np.full(shape, self.task["special_pieces"]["padding"], dtype=np.int64)
        mask, shapes = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for row, (ids, own) in enumerate(rows):
            pieces[row, : len(ids)], mask[row, : len(ids)], shapes[row, : len(ids)] = ids, 1, own
        given = {"pieces": pieces, "mask": mask, "word_shapes": shapes}
        (scores,) = self.session.run(None, {name: given[name] for name in self.inputs})
        return [own[: len(ids)] for own, (ids, _) in zip(scores, rows, strict=True)]

    def _entities(self, document: Document, windows: Sequence[tuple[int, Array]]) -> list[Entity]:
        """Return the entities of a text. windows: Where each begins, and the scores of its pieces."""
        if not document.words:
            return []
        scores = self._word_scores(document, windows)
        scores[:, self.tags.index("O")] -= self.task["outside_bias"]
        log_probabilities = log_softmax(scores)
        tags = decode(log_probabilities, self.allowed)
        calibrated = log_softmax(log_probabilities / self.task["temperature"])
        own = calibrated[np.arange(len(tags)), tags].astype(float)
        found = []
        for first, end in tagged_spans([self.tags[tag] for tag in tags]):
            score = float(np.exp(own[first:end].sum()))
            if score >= self.task["threshold"]:
                label = self.tags[tags[first]].partition("-")[2]
                found.append(Entity(document.words[first][0], document.words[end - 1][1], label, score))
        return found

    def _word_scores(self, document: Document, windows: Sequence[tuple[int, Array]]) -> Array:
        """Return the scores of words. Each piece is read where it has the most context on its shorter side."""
        n_before, n_pieces = len(self.before), len(document.ids)
        if not n_pieces:  # all that the tokenizer knows is the special piece
            return np.repeat(windows[0][1][:1], len(document.words), axis=0)
        best, scores = np.full(n_pieces, -1), np.zeros((n_pieces, len(self.tags)), dtype=np.float32)
        for start, own in windows:
            body = own[n_before : len(own) - len(self.after)]
            left = np.arange(len(body))
            context = np.minimum(left, len(body) - 1 - left)
            better = np.flatnonzero(context > best[start : start + len(body)])
            best[start + better], scores[start + better] = context[better], body[better]
        if self.task["pooling"] == "first":
            return scores[document.first]
        if self.task["pooling"] == "last":
            return scores[document.last]
        return np.stack([scores[a : b + 1].mean(axis=0) for a, b in zip(document.first, document.last, strict=True)])


def split_words(text: str) -> Iterator[Span]:
    """Yield where the words of a text are: between spaces, with each sign before and after a word as one of its own."""
    end = 0
    for chunk in text.split():
        start = text.index(chunk, end)
        end = start + len(chunk)
        first, last = start, end
        while first < last and not text[first].isalnum():
            first += 1
        while first < last and not text[last - 1].isalnum():
            last -= 1
        yield from ((i, i + 1) for i in range(start, first))
        if first < last:
            yield first, last
        yield from ((i, i + 1) for i in range(last, end))


def join_words(words: Sequence[str]) -> tuple[str, list[tuple[int, Span]]]:
    """Return words as a text with a space after each, as spaCy does, and the number and place of those with signs."""
    text, places = "", []
    for number, word in enumerate(words):
        if word and not word.isspace():
            places.append((number, (len(text), len(text) + len(word))))
        text += f"{word} " if word else ""
    return text, places


def word_shape(word: str) -> str:
    """Return the class of a word: "EU" upper, "Peter" title, "McLaren" mixed, "J." initial, "1,200" number."""
    letters = [char for char in word if char.isalpha()]
    has_digit = any(char.isdigit() for char in word)
    if not letters:
        return "number" if has_digit else "other"
    if has_digit:
        return "alphanumeric"
    if len(letters) == 1:
        return "initial" if letters[0].isupper() else "lower"
    if not any(char.isupper() for char in letters):
        return "lower"
    if all(char.isupper() for char in letters):
        return "upper"
    return "title" if letters[0].isupper() and not any(char.isupper() for char in letters[1:]) else "mixed"


def batches(lengths: Sequence[int], n_special: int) -> Iterator[list[int]]:
    """Yield the numbers of windows that run together, of about equal length."""
    group: list[int] = []
    for number in sorted(range(len(lengths)), key=lengths.__getitem__):
        if group and (len(group) + 1) * (lengths[number] + n_special) > BATCH_PIECES:
            yield group
            group = []
        group.append(number)
    if group:
        yield group


def may_follow_iob2(before: str, after: str) -> bool:
    """Return whether a tag may follow another one: I- only after a tag of the same label."""
    return after[0] != "I" or (before != "O" and before[1:] == after[1:])


def may_follow_biluo(before: str, after: str) -> bool:
    """Return whether a tag may follow another one: after B- and I-, and only there, I- or L- of the same label."""
    inside = after[0] in "IL"
    return (before[1:] == after[1:] and inside) if before[0] in "BI" else not inside


def log_softmax(scores: Array) -> Array:
    """Return log probabilities. Shape of both: (n_words, n_tags)"""
    shifted = scores - scores.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def decode(log_probabilities: Array, allowed: Array) -> list[int]:
    """Return the most probable valid tags (Viterbi 1967). Before the first word and after the last one there is "O"."""
    tags = log_probabilities.argmax(axis=1).tolist()
    if all(allowed[pair] for pair in pairwise([0, *tags, 0])):
        return tags
    forbidden = np.where(allowed, 0.0, -np.inf)
    best = log_probabilities[0].astype(float) + forbidden[0]
    came_from = []
    for own in log_probabilities[1:]:
        paths = best[:, None] + forbidden
        came_from.append(paths.argmax(axis=0))
        best = paths.max(axis=0) + own
    tags = [int((best + forbidden[:, 0]).argmax())]
    for places in reversed(came_from):
        tags.append(int(places[tags[-1]]))
    return tags[::-1]


def tagged_spans(tags: Sequence[str]) -> Iterator[Span]:
    """Yield where entities are in valid tags: each begins with B- or U- and lasts until "O" or the next one."""
    start = None
    for number, tag in enumerate([*tags, "O"]):
        if start is not None and tag[0] in "OBU":
            yield start, number
            start = None
        if tag[0] in "BU":
            start = number


def read_words(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield the words of each text: one per line, with an empty line after each text."""
    words: list[str] = []
    for line in lines:
        if word := line.rstrip("\n"):
            words.append(word)
        elif words:
            yield words
            words = []
    if words:
        yield words


def main() -> None:
    """Print the entities of a file's texts."""
    parser = argparse.ArgumentParser(description="Find entities with an exported recognizer.")
    parser.add_argument("folder", help="What `spacy ptv2 export-onnx` wrote.")
    parser.add_argument("file", nargs="?", type=Path, help="UTF-8 with a text per line; standard input without one.")
    parser.add_argument("--words", action="store_true", help="A word per line, an empty line after each text.")
    given = parser.parse_intermixed_args()
    recognizer = Recognizer(given.folder)
    with given.file.open(encoding="utf8") if given.file else sys.stdin as lines:
        texts: Iterator[Any] = read_words(lines) if given.words else (line.rstrip("\n") for line in lines)
        while part := list(islice(texts, TEXTS_AT_ONCE)):
            found = recognizer.in_words(part) if given.words else recognizer.in_texts(part)
            for text, entities in zip(part, found, strict=True):
                named = [{"text": slice_of(text, own), **own._asdict()} for own in entities]
                print(json.dumps({"words" if given.words else "text": text, "entities": named}, ensure_ascii=False))


def slice_of(text: str | list[str], entity: Entity) -> str:
    """Return the text of an entity."""
    own = text[entity.start : entity.end]
    return own if isinstance(own, str) else " ".join(own)


if __name__ == "__main__":
    main()
