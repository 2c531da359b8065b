"""Writes frames as CoNLL-2005 columns, which `props.py` reads: a word, its lemma or `-`, brackets of each predicate.

In: predicted Docs, and gold ones, which the lemmas come from. Out: text, an empty line after each sentence. White space
within a word becomes `_`, so that each token stays one row.
Source: https://www.cs.upc.edu/~srlconll.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from spacy.tokens import Doc, Span

from ..annotations.given import place_span, sentences_of
from ..annotations.names import PREDICATES
from ..annotations.roles import VERB, Frame, frames_of
from ..errors import Errors, PTuningError
from .props import NOTHING

LABEL = re.compile(r"[^()*\s]+")
Role = tuple[int, int, str]  # start, end, label


def props_lines(pairs: Iterable[tuple[Doc, Doc]]) -> Iterator[str]:
    """Yield the lines of a file. pairs (Iterable[tuple[Doc, Doc]]): The predicted and the gold Doc of each text.

    Of two predicates that begin with one token the later is written, as it is the one that is scored.
    RAISES (PTuningError): P054 for roles that brackets cannot express.
    """
    for predicted, gold in pairs:
        frames = {frame.predicate.start: frame for frame in frames_of(predicted) if len(frame.predicate)}
        lemmas = _gold_lemmas(predicted, gold)
        for sentence in sentences_of(predicted):
            own = [frames[start] for start in sorted(frames) if sentence.start <= start < sentence.end]
            yield from _sentence(sentence, own, lemmas)


def _gold_lemmas(predicted: Doc, gold: Doc) -> dict[int, str]:
    """Return the labels of gold predicates by the token of the predicted Doc that they begin with."""
    return {place_span(span, predicted).start: span.label_ for span in gold.spans.get(PREDICATES, ())}


def _sentence(sentence: Span, frames: Sequence[Frame], lemmas: Mapping[int, str]) -> Iterator[str]:
    if not len(sentence):
        return
    columns = [_brackets(sentence, frame) for frame in frames]
    starts = {frame.predicate.start: _lemma(frame.predicate, lemmas) for frame in frames}
    for row, token in enumerate(sentence):
        cells = [_one_word(token.text), starts.get(token.i, NOTHING), *(column[row] for column in columns)]
        yield "\t".join(cells)
    yield ""


def _lemma(predicate: Span, lemmas: Mapping[int, str]) -> str:
    first = predicate[0]
    known = (predicate.label_, lemmas.get(predicate.start, ""), first.lemma_, first.lower_)
    lemma = _one_word(next(name for name in known if name.strip()) if not first.is_space else "")
    return lemma if lemma != NOTHING else "_"


def _one_word(text: str) -> str:
    return "_".join(text.split()) or "_"


def _brackets(sentence: Span, frame: Frame) -> list[str]:
    """Return a column: for each token of a sentence the brackets that open, an asterisk, and those that close."""
    predicate = frame.predicate
    roles = [(role.start, role.end, role.label_) for role in frame.roles if role.label_ != VERB and len(role)]
    spans = sorted([*roles, (predicate.start, predicate.end, VERB)], key=lambda span: (span[0], -span[1]))
    opened, closed = [""] * len(sentence), [0] * len(sentence)
    inside: list[Role] = []
    for start, end, label in spans:
        while inside and inside[-1][1] <= start:
            inside.pop()
        problem = (
            "crosses another role"
            if inside and inside[-1][1] < end
            else "ends outside of the predicate's sentence"
            if not sentence.start <= start < end <= sentence.end
            else "is a label with white space, a bracket or an asterisk"
            if not LABEL.fullmatch(label)
            else ""
        )
        if problem:
            text = sentence.doc.text[:50]
            raise PTuningError(Errors.P054.format(text=text, label=label, predicate=predicate.text, problem=problem))
        inside.append((start, end, label))
        opened[start - sentence.start] += f"({label}"
        closed[end - 1 - sentence.start] += 1
    return [f"{before}*{')' * n}" for before, n in zip(opened, closed, strict=True)]
