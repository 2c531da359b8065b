"""The tasks of SuperGLUE whose rows are flat: COPA, WiC and WSC, each row a Doc.

In: rows of JSON lines (`labelled_texts.py` reads them and adds the label). Out: choices as `doc._.second_text`, with
the right one in `doc._.choice`; the two sentences of WiC as `doc.spans["texts"]`; the words that WiC and WSC ask about
as `doc.spans["marked"]`. WSC's second text asks what is meant, so a pair can be made of one text.
Source: Wang et al. 2019, section 3, https://arxiv.org/abs/1905.00537.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from spacy.tokens import Doc

from ..annotations.names import CHOICE, MARKED, SECOND_TEXT, TEXTS, add_extension
from ..errors import CorpusError, Errors
from .records import Record, check, check_integers, filled_text, has
from .spans import Tokenize
from .text import shorten

COPA = {"cause": "What was the cause of this?", "effect": "What happened as a result?"}  # as the task is told to people
WSC = 'Does "{pronoun}" mean "{noun}"?'
TARGET = "an object with span1_text, span1_index, span2_text and span2_index"
WORD = re.compile(r"\S+")
Stretch = tuple[int, int]  # characters, end exclusive


def read_copa(record: Record, tokenize: Tokenize) -> Doc:
    """Return a premise with its question, and two choices."""
    question = record.value["question"]
    check(question in COPA, record.place, "a question that is 'cause' or 'effect'", question)
    doc = tokenize.make_doc(f"{filled_text(record, 'text')} {COPA[question]}")
    for attribute in (SECOND_TEXT, CHOICE):
        add_extension(attribute)
    doc._.set(SECOND_TEXT, [filled_text(record, "choice1"), filled_text(record, "choice2")])
    right = record.value["right"]
    check(right in (0, 1), record.place, "a label that is 0 or 1", right)
    doc._.set(CHOICE, right)
    return doc


def read_wic(record: Record, tokenize: Tokenize) -> Doc:
    """Return two sentences in one Doc, with a marked word in each."""
    first, second = filled_text(record, "sentence1"), filled_text(record, "sentence2")
    offsets = [record.value[name] for name in ("start1", "end1", "start2", "end2")]
    check_integers(record.place, *offsets)
    doc = tokenize.make_doc(f"{first}\n{second}")
    begins = len(first) + 1
    stretches = {
        TEXTS: [(0, len(first)), (begins, len(doc.text))],
        MARKED: [(offsets[0], offsets[1]), (begins + offsets[2], begins + offsets[3])],
    }
    for key, pair in stretches.items():
        _set_pair(doc, key, pair, record.place, f"characters {offsets}")
    return doc


def read_wsc(record: Record, tokenize: Tokenize) -> Doc:
    """Return a text in which a noun phrase and a pronoun are marked, in this order, and the question about them.

    The phrase and the pronoun are found by the number of their first word, in words between spaces.
    RAISES (CorpusError): P044 if they are not there.
    """
    text, target = filled_text(record, "text"), record.value["target"]
    names = ("span1_text", "span1_index", "span2_text", "span2_index")
    check(has(target, *names), record.place, TARGET, target)
    inner = Record(record.place, target)
    words = [match.span() for match in WORD.finditer(text)]
    phrases = [filled_text(inner, name).strip() for name in names[::2]]
    stretches = [
        _find_phrase(text, words, phrase, target[name], record.place)
        for phrase, name in zip(phrases, names[1::2], strict=True)
    ]
    doc = tokenize.make_doc(text)
    _set_pair(doc, MARKED, stretches, record.place, str(phrases))
    add_extension(SECOND_TEXT)
    doc._.set(SECOND_TEXT, WSC.format(noun=phrases[0], pronoun=phrases[1]))
    return doc


def _find_phrase(text: str, words: Sequence[Stretch], phrase: str, index: Any, place: str) -> Stretch:
    """Return the characters of a phrase that begins within the word of this number, whatever its case."""
    is_number = isinstance(index, int) and not isinstance(index, bool) and 0 <= index < len(words)
    start, end = words[index] if is_number else (0, 0)
    pattern = re.compile(r"\s+".join(map(re.escape, phrase.split())), re.IGNORECASE)
    match = pattern.search(text, start)
    if match is None or match.start() >= end:
        quoted, phrase = shorten(text[start:], 40), shorten(phrase, 40)
        raise CorpusError(Errors.P044.format(place=place, text=phrase, index=index, n_words=len(words), got=quoted))
    return match.span()


def _set_pair(doc: Doc, key: str, stretches: Sequence[Stretch], place: str, got: str) -> None:
    """Set a span group of two stretches of a Doc, as whole tokens."""
    found = [doc.char_span(start, end, alignment_mode="expand") for start, end in stretches]
    spans = [span for span in found if span is not None and len(span)]
    check(len(spans) == len(stretches), place, "words within their sentences", got)
    doc.spans[key] = spans
