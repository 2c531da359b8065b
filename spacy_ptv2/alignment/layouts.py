"""Layouts turn Docs into sequences: a question with its context, a sentence with its predicate, a pair of texts.

A question, a second text, a predicate or a marked span is an extension attribute or a span group of the Doc, so
DocBin, Example and `nlp.pipe` need nothing new.
Sources: Liu et al. 2021, section 4.1 (questions, roles); Shi and Lin 2019, section 3, https://arxiv.org/abs/1904.05255
(the predicate after the sentence); Wang et al. 2019, section 3, https://arxiv.org/abs/1905.00537 (pairs and choices).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from spacy.tokens import Doc, Span
from spacy.util import get_words_and_spaces
from spacy.vocab import Vocab

from ..errors import Errors, PTuningError
from ..types import SpanGetter
from .sequences import InputSequence


@dataclass(frozen=True)
class DocLayout:
    """One sequence per Doc: the Doc itself.

    get_spans (SpanGetter | None): A span getter of spacy-transformers, whose spans windows do not cross; None to cut
        whole Docs into windows.
    """

    get_spans: SpanGetter | None = None

    def __call__(self, docs: Sequence[Doc]) -> list[InputSequence]:
        """Return the sequences of Docs."""
        if self.get_spans is None:
            return [InputSequence(number, doc[:]) for number, doc in enumerate(docs)]
        stretches = [[(span.start, span.end) for span in spans] for spans in self.get_spans(docs)]
        return [
            InputSequence(number, doc[:], stretches=own)
            for number, (doc, own) in enumerate(zip(docs, stretches, strict=True))
        ]


@dataclass(frozen=True)
class QuestionLayout:
    """One sequence per question: the question, then the Doc, which is cut into windows.

    attribute (str): The extension attribute of the Doc that holds the questions, a list of strings.
    """

    attribute: str = "questions"

    def __post_init__(self) -> None:
        _install(self.attribute)

    def __call__(self, docs: Sequence[Doc]) -> list[InputSequence]:
        """Return the sequences of Docs."""
        sequences: list[InputSequence] = []
        for number, doc in enumerate(docs):
            for question in _texts(doc, self.attribute):
                asked = _as_span(question, doc.vocab)
                sequences.append(InputSequence(number, doc[:], asked, other_first=True, group=len(sequences)))
        return sequences


@dataclass(frozen=True)
class PredicateLayout:
    """One sequence per predicate: the Doc with the predicate after it, as in the paper, or marked in place.

    spans_key (str): The span group of the Doc that holds the predicates.
    append (bool): Repeat the predicate after the Doc.
    markers (tuple[str, str] | None): Texts inserted before and after the predicate inside the Doc; None for none.
    """

    spans_key: str = "predicates"
    append: bool = True
    markers: tuple[str, str] | None = None

    def __call__(self, docs: Sequence[Doc]) -> list[InputSequence]:
        """Return the sequences of Docs."""
        sequences: list[InputSequence] = []
        for number, doc in enumerate(docs):
            for predicate in doc.spans.get(self.spans_key, ()):
                before, after = self.markers or ("", "")
                marks = [(predicate.start, before), (predicate.end, after)] if self.markers else []
                other = predicate if self.append else None
                sequences.append(
                    InputSequence(number, doc[:], other, markers=marks, spans=[predicate], group=len(sequences))
                )
        return sequences


@dataclass(frozen=True)
class PairLayout:
    """One sequence per pair of texts: the first text is cut into windows, the second stays.

    attribute (str): The extension attribute that holds the second text where the Doc is the first: a string, or a list
        of strings for several choices, which form one group.
    texts (str): Alternatively, a span group with both texts: the first span, and each further span as a choice.
    marked (str): The span group of the Doc that holds marked spans, in either text.
    RAISES (PTuningError): P221 for a Doc that has no second text in either place.
    """

    attribute: str = "second_text"
    texts: str = "texts"
    marked: str = "marked"

    def __post_init__(self) -> None:
        _install(self.attribute)

    def __call__(self, docs: Sequence[Doc]) -> list[InputSequence]:
        """Return the sequences of Docs."""
        return [sequence for number, doc in enumerate(docs) for sequence in self._pairs(number, doc)]

    def _pairs(self, number: int, doc: Doc) -> list[InputSequence]:
        spans = list(doc.spans.get(self.texts, ()))
        if spans:
            body, *others = spans
        else:
            body, others = doc[:], [_as_span(text, doc.vocab) for text in _texts(doc, self.attribute)]
        if not others:
            raise PTuningError(Errors.P221.format(text=doc.text[:50], attribute=self.attribute, key=self.texts))
        marked = list(doc.spans.get(self.marked, ()))
        return [InputSequence(number, body, other, spans=marked, group=number) for other in others]


def _install(attribute: str) -> None:
    if not Doc.has_extension(attribute):
        Doc.set_extension(attribute, default=None)


def _texts(doc: Doc, attribute: str) -> list[str]:
    value = doc._.get(attribute)
    return [value] if isinstance(value, str) else list(value or ())


def _as_span(text: str, vocab: Vocab) -> Span:
    """Return a text that is not part of a Doc as a span of a new one, split into words at spaces."""
    words, spaces = get_words_and_spaces(text.split(), text)
    return Doc(vocab, words=words, spaces=spaces)[:]
