"""Layouts turn Docs into sequences: a question with its context, a sentence with its predicate, a pair of texts.

A question, a second text, a predicate or a marked span is an extension attribute or a span group of the Doc, so
DocBin, Example and `nlp.pipe` need nothing new.
Sources: Liu et al. 2021, section 4.1 (questions, roles); Shi and Lin 2019, section 3, https://arxiv.org/abs/1904.05255
(the predicate after the sentence); Wang et al. 2019, section 3, https://arxiv.org/abs/1905.00537 (pairs and choices).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spacy.tokens import Doc, Span
from spacy.util import get_words_and_spaces
from spacy.vocab import Vocab

from ..annotations import names
from ..annotations.given import SENTENCES, copy_words, give, sentences_of
from ..annotations.names import add_extension, texts_of
from ..types import SpanGetter
from .sequences import InputSequence


@dataclass(frozen=True)
class DocLayout:
    """One sequence per Doc: the Doc itself.

    get_spans (SpanGetter | None): Spans that windows do not cross, by `sentence_spans` or by a span getter of
        spacy-transformers; None to cut whole Docs into windows.
    """

    get_spans: SpanGetter | None = None

    @property
    def given(self) -> tuple[str, ...]:
        """What the sequences are made of, in addition to the words; see `give`."""
        return ()

    def __call__(self, docs: Sequence[Doc]) -> list[InputSequence]:
        """Return the sequences of Docs."""
        if self.get_spans is None:
            return [InputSequence(number, doc[:]) for number, doc in enumerate(docs)]
        stretches = [[(span.start, span.end) for span in spans] for spans in self.get_spans(docs)]
        return [
            InputSequence(number, doc[:], stretches=own)
            for number, (doc, own) in enumerate(zip(docs, stretches, strict=True))
        ]

    def split(self, doc: Doc, most: int) -> list[Doc]:
        """Return the Doc: it is one sequence."""
        return [doc]


def sentence_spans(docs: Sequence[Doc]) -> list[list[Span]]:
    """Return the sentences of Docs, as a component before or the user has set them; of a Doc without any, all of it."""
    return [sentences_of(doc) or [doc[:]] for doc in docs]  # without words a Doc has no sentence


def build_sentence_spans_v1() -> SpanGetter:
    """Build the span getter of windows that read no more than one sentence."""
    return sentence_spans


@dataclass(frozen=True)
class QuestionLayout:
    """One sequence per question: the question, then the Doc, which is cut into windows.

    attribute (str): The extension attribute of the Doc that holds the questions, a list of strings.
    """

    attribute: str = names.QUESTIONS

    def __post_init__(self) -> None:
        add_extension(self.attribute)

    @property
    def given(self) -> tuple[str, ...]:
        """What the sequences are made of, in addition to the words; see `give`."""
        return (f"doc._.{self.attribute}",)

    def __call__(self, docs: Sequence[Doc]) -> list[InputSequence]:
        """Return the sequences of Docs."""
        sequences: list[InputSequence] = []
        for number, doc in enumerate(docs):
            for question in texts_of(doc, self.attribute):
                asked = _as_span(question, doc.vocab)
                sequences.append(InputSequence(number, doc[:], asked, other_first=True, group=len(sequences)))
        return sequences

    def split(self, doc: Doc, most: int) -> list[Doc]:
        """Return copies of a Doc with at most so many of its sequences each, in order."""
        return list(_split_texts(doc, self.attribute, most))


@dataclass(frozen=True)
class PredicateLayout:
    """One sequence per predicate: its sentence, with the predicate marked in place or, as in the paper, after it.

    A Doc without sentence boundaries counts as one sentence.

    spans_key (str): The span group of the Doc that has the predicates.
    append (bool): Repeat the predicate after the sentence.
    mark (bool): Add a trained vector to the pieces of the predicate inside the sentence.
    context (int): Most tokens that are read on each side of the predicate.
    """

    spans_key: str = names.PREDICATES
    append: bool = False
    mark: bool = True
    context: int = 256

    @property
    def given(self) -> tuple[str, ...]:
        """What the sequences are made of, in addition to the words; see `give`."""
        return SENTENCES, f"doc.spans.{self.spans_key}"

    def __call__(self, docs: Sequence[Doc]) -> list[InputSequence]:
        """Return the sequences of Docs."""
        sequences: list[InputSequence] = []
        for number, doc in enumerate(docs):
            has_sentences = doc.has_annotation("SENT_START")
            for predicate in doc.spans.get(self.spans_key, ()):
                other = predicate if self.append else None
                body = self._body(doc, predicate, has_sentences=has_sentences)
                sequences.append(
                    InputSequence(number, body, other, spans=[predicate], mark=self.mark, group=len(sequences))
                )
        return sequences

    def _body(self, doc: Doc, predicate: Span, *, has_sentences: bool) -> Span:
        first, last = 0, len(doc)
        if has_sentences and len(predicate):
            first, last = doc[predicate.start].sent.start, doc[predicate.end - 1].sent.end
        return doc[max(first, predicate.start - self.context) : min(last, predicate.end + self.context)]

    def split(self, doc: Doc, most: int) -> list[Doc]:
        """Return copies of a Doc with at most so many of its sequences each, in order."""
        predicates = list(doc.spans.get(self.spans_key, ()))
        copies = []
        for start in range(0, len(predicates), most):
            copy = copy_words(doc)
            copy.spans[self.spans_key] = [copy[p.start : p.end] for p in predicates[start : start + most]]
            copies.append(copy)
        return copies


@dataclass(frozen=True)
class PairLayout:
    """One sequence per pair of texts: the first text is cut into windows, the second stays. A single text makes none.

    attribute (str): The extension attribute that holds the second text where the Doc is the first: a string, or a list
        of strings for several choices, which form one group.
    texts (str): Alternatively, a span group with both texts: the first span, and each further span as a choice.
    marked (str): The span group of the Doc that holds marked spans, in either text.
    """

    attribute: str = names.SECOND_TEXT
    texts: str = names.TEXTS
    marked: str = names.MARKED

    def __post_init__(self) -> None:
        add_extension(self.attribute)

    @property
    def given(self) -> tuple[str, ...]:
        """What the sequences are made of, in addition to the words; see `give`."""
        return f"doc._.{self.attribute}", f"doc.spans.{self.texts}", f"doc.spans.{self.marked}"

    def __call__(self, docs: Sequence[Doc]) -> list[InputSequence]:
        """Return the sequences of Docs."""
        return [sequence for number, doc in enumerate(docs) for sequence in self._pairs(number, doc)]

    def _pairs(self, number: int, doc: Doc) -> list[InputSequence]:
        spans = list(doc.spans.get(self.texts, ()))
        if spans:
            body, *others = spans
        else:
            body, others = doc[:], [_as_span(text, doc.vocab) for text in texts_of(doc, self.attribute)]
        marked = list(doc.spans.get(self.marked, ()))
        return [InputSequence(number, body, other, spans=marked, group=number) for other in others]

    def split(self, doc: Doc, most: int) -> list[Doc]:
        """Return copies of a Doc with at most so many of its sequences each, in order."""
        if doc.spans.get(self.texts):
            return [doc]  # as many as there are texts within it, so few
        copies = list(_split_texts(doc, self.attribute, most))
        for copy in copies:
            give(doc, copy, [f"doc.spans.{self.marked}"])
        return copies


def _split_texts(doc: Doc, attribute: str, most: int) -> Iterator[Doc]:
    texts = texts_of(doc, attribute)
    for start in range(0, len(texts), most):
        copy = copy_words(doc)
        copy._.set(attribute, texts[start : start + most])
        yield copy


def _as_span(text: str, vocab: Vocab) -> Span:
    """Return a text that is not part of a Doc as a span of a new one, split into words at spaces."""
    words, spaces = get_words_and_spaces(text.split(), text)
    return Doc(vocab, words=words, spaces=spaces)[:]
