"""Excerpts of Docs that show what a pipeline got wrong, for readers of a page.

In: Docs with their matches, or with their classes. Out: at most `MOST` excerpts, of every kind and label the first
ones, each with its gold and its predicted spans as displaCy marks them. displaCy escapes texts but not labels, so
labels are escaped here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, TypeVar

from spacy import displacy

from .classes import Judged
from .spans import DocMatches, Found, Match

MOST = 200
CONTEXT = 120  # characters of text on either side of an error
LONGEST = 600  # characters of one excerpt
LABEL_LENGTH = 60
# What stands beside a label on the page.
KINDS = {"missed": "missed", "spurious": "spurious", "label": "wrong label", "boundaries": "wrong boundaries"}
CLASS_KIND = "class"
MARK = '<mark class="{mark}">{text}<span class="label">{label}</span></mark>'

T = TypeVar("T")
Topic = tuple[str, str]  # a kind and a label


@dataclass(frozen=True)
class Excerpt:
    """Part of a Doc, as HTML.

    doc (int): The number of the Doc in the corpus, from 0. topics (list[Topic]): What is wrong in it.
    gold, predicted (str): Markup by displaCy. before, after (bool): Whether the text goes on there.
    """

    doc: int
    topics: list[Topic]
    gold: str
    predicted: str
    before: bool
    after: bool


@dataclass(frozen=True)
class WrongClass:
    """A Doc with another class than predicted.

    text (str): Its beginning, not escaped. is_cut (bool): Whether there is more.
    given (list[str]): What it is paired with.
    """

    judged: Judged
    text: str
    is_cut: bool
    given: list[str]

    @property
    def topics(self) -> list[Topic]:
        """What is wrong: both classes."""
        return [(CLASS_KIND, self.judged.gold), (CLASS_KIND, self.judged.predicted)]


def select(items: Sequence[T], topics: Callable[[T], Iterable[Topic]]) -> list[T]:
    """Return at most `MOST` items, in their order: of every topic the first, then the second, and so on."""
    by_topic: dict[Topic, list[int]] = defaultdict(list)
    for number, item in enumerate(items):
        for topic in dict.fromkeys(topics(item)):
            by_topic[topic].append(number)
    chosen: set[int] = set()
    for turn in range(max(map(len, by_topic.values()), default=0)):
        for numbers in by_topic.values():
            if turn < len(numbers) and len(chosen) < MOST:
                chosen.add(numbers[turn])
        if len(chosen) >= MOST:
            break
    return [items[number] for number in sorted(chosen)]


@dataclass(frozen=True)
class _Place:
    """A stretch of a Doc that has errors, in characters."""

    own: DocMatches
    start: int
    end: int
    wrong: list[Match]

    @property
    def topics(self) -> list[Topic]:
        return list(dict.fromkeys((match.kind, label) for match in self.wrong for label in match.labels))


def excerpts(docs: Sequence[DocMatches]) -> tuple[list[Excerpt], int]:
    """Return what is shown of the errors in some Docs, and how many excerpts there would be in all."""
    places = [place for own in docs for place in _places(own)]
    return [_draw(place) for place in select(places, lambda place: place.topics)], len(places)


def wrong_classes(judged: Sequence[Judged], given: Callable[[Judged], list[str]]) -> tuple[list[WrongClass], int]:
    """Return what is shown of Docs with wrong classes, the surest first, and how many there are.

    given (Callable[[Judged], list[str]]): Returns what the Doc was paired with, which is shown too.
    """
    wrong = sorted((own for own in judged if not own.is_right), key=lambda own: -own.score)
    shown = [
        WrongClass(own, own.doc.text[:LONGEST], len(own.doc.text) > LONGEST, [text[:LONGEST] for text in given(own)])
        for own in wrong
    ]
    return select(shown, lambda item: item.topics), len(wrong)


def short(label: str) -> str:
    """Return a label that fits on a page."""
    return label if len(label) <= LABEL_LENGTH else label[: LABEL_LENGTH - 1] + "…"


def _places(own: DocMatches) -> list[_Place]:
    """Return the stretches around the errors of a Doc; those that meet are one, unless that would be too long."""
    places: list[_Place] = []
    for match in own.matches:
        if match.kind == "right":
            continue
        chars = [_characters(found, own) for found in (match.gold, match.predicted) if found is not None]
        start = max(0, min(start for start, _ in chars) - CONTEXT)
        end = min(len(own.doc.text), max(end for _, end in chars) + CONTEXT)
        last = places[-1] if places else None
        if last is not None and start < last.end and max(end, last.end) - last.start <= LONGEST:
            places[-1] = _Place(own, last.start, max(end, last.end), [*last.wrong, match])
        else:
            places.append(_Place(own, start, min(end, start + LONGEST), [match]))
    return places


def _characters(found: Found, own: DocMatches) -> tuple[int, int]:
    span = own.doc[found.start : found.end]
    return span.start_char, span.end_char


def _draw(place: _Place) -> Excerpt:
    start, end = place.start, place.end
    text = place.own.doc.text
    while 0 < start < end and not text[start - 1].isspace() and place.start - start < 20:  # begin with a whole word
        start -= 1
    lines: dict[str, list[tuple[Match, Found]]] = {"gold": [], "predicted": []}
    for match in place.own.matches:
        for side, found in (("gold", match.gold), ("predicted", match.predicted)):
            if found is not None:
                lines[side].append((match, found))
    gold, predicted = (_render(place.own, side, start, end) for side in lines.values())
    return Excerpt(place.own.number, place.topics, gold, predicted, start > 0, end < len(text))


def _render(own: DocMatches, side: Iterable[tuple[Match, Found]], start: int, end: int) -> str:
    """Return displaCy's markup of a stretch of text. Of spans that overlap, errors and then longer ones are drawn."""
    spans: list[dict[str, Any]] = []
    for match, found in sorted(side, key=lambda pair: (pair[0].kind == "right", pair[1].start - pair[1].end)):
        first, last = _characters(found, own)
        first, last = max(first, start) - start, min(last, end) - start
        if first < last and all(last <= other["start"] or first >= other["end"] for other in spans):
            kind = KINDS.get(match.kind)
            label = short(found.label) + (f" · {kind}" if kind else "")
            spans.append({"start": first, "end": last, "label": escape(label), "params": {"mark": match.kind}})
    spans.sort(key=lambda span: span["start"])
    direction = own.doc.vocab.writing_system.get("direction", "ltr")
    drawn = {"text": own.doc.text[start:end], "ents": spans, "settings": {"direction": direction}}
    return displacy.render(drawn, style="ent", manual=True, jupyter=False, options={"template": MARK})
