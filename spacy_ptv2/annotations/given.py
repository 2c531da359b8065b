"""Copies what is given to a task, questions, predicates or second texts, from one Doc to another of the same text.

spaCy predicts on a Doc that has the words of the gold one and nothing else. What a task is asked is not predicted: it
is copied from the gold Doc, in training by the components, in evaluation by the reader `spacy_ptv2.Corpus.v1`.
"""

from __future__ import annotations

from collections.abc import Iterable

from spacy.tokens import Doc, Span, SpanGroup

from ..errors import Errors, PTuningError
from .names import add_extension

ATTRIBUTE, GROUP, SENTENCES = "doc._.", "doc.spans.", "doc.sents"


def give(source: Doc, target: Doc, names: Iterable[str]) -> None:
    """Copy what a Doc has of some annotations to another Doc, whose own it replaces.

    names (Iterable[str]): "doc._.NAME" for an extension attribute, "doc.spans.NAME" for a span group, "doc.sents" for
        where sentences begin.
    RAISES (PTuningError): P440 for another name.
    """
    for name in names:
        if name.startswith(ATTRIBUTE):
            attribute = name.removeprefix(ATTRIBUTE)
            add_extension(attribute)
            if (value := source._.get(attribute)) is not None:
                target._.set(attribute, value)
        elif name.startswith(GROUP):
            key = name.removeprefix(GROUP)
            if key in source.spans:
                group = source.spans[key]
                spans = [place_span(span, target) for span in group]
                target.spans[key] = SpanGroup(target, name=key, attrs=dict(group.attrs), spans=spans)
        elif name == SENTENCES:
            _give_sentences(source, target)
        else:
            raise PTuningError(Errors.P440.format(got=name))


def copy_words(doc: Doc) -> Doc:
    """Return the words of a Doc and where its sentences begin, and nothing else of it."""
    words, spaces = [token.text for token in doc], [bool(token.whitespace_) for token in doc]
    copy = Doc(doc.vocab, words=words, spaces=spaces)
    give(doc, copy, [SENTENCES])
    return copy


def sentences_of(doc: Doc) -> list[Span]:
    """Return the sentences of a Doc; all of it as one where nothing says where they begin."""
    return list(doc.sents) if doc.has_annotation("SENT_START") else [doc[:]]


def place_span(span: Span, target: Doc) -> Span:
    """Return a span as one of another Doc of the same text: as many whole tokens as it touches there."""
    start, end = span.start, span.end
    if not _same_tokens(span.doc, target):
        found = target.char_span(span.start_char, span.end_char, alignment_mode="expand")
        start, end = (0, 0) if found is None else (found.start, found.end)
    return Span(target, start, end, label=span.label, kb_id=span.kb_id, span_id=span.id)


def _same_tokens(a: Doc, b: Doc) -> bool:
    return len(a) == len(b) and all(x.idx == y.idx for x, y in zip(a, b, strict=True))


def _give_sentences(source: Doc, target: Doc) -> None:
    if not source.has_annotation("SENT_START"):
        return
    starts = {token.idx for token in source if token.is_sent_start}
    for token in target:
        token.is_sent_start = token.idx in starts
