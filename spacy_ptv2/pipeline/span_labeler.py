"""Labels spans of a span group with a linear head over token vectors, as `token_classifier` labels entities.

In: Docs and their token vectors. Out: `doc.spans[spans_key]`, spans that do not overlap, with a confidence each. A Doc
that has the group already keeps it. A gold Doc without the group says nothing, so that heads for several corpora learn
in one training, each from its own Docs. The head and its decoding are those of entities.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example
from spacy.vocab import Vocab

from ..annotations.given import place_span
from ..annotations.roles import SCORES
from ..errors import Errors, PTuningError
from .entities import FreeTokens, Prediction, find_free_tokens
from .head import HeadModel, Scorer
from .tag_schemes import OUTSIDE, biluo_prefixes
from .token_classifier import TokenClassifier


class SpanLabeler(TokenClassifier):
    """Finds spans and labels them.

    vocab, model, name, scorer: See `Head`; the model is `spacy_ptv2.TokenClassifier.v1`.
    spans_key (str): The span group.
    settings: `scheme`, `confidence` and `threshold`, as of `TokenClassifier`.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: HeadModel,
        name: str = "span_labeler",
        *,
        spans_key: str = "sc",
        scorer: Scorer | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(vocab, model, name, spans_key=spans_key, scorer=scorer, **settings)

    def make_span(self, doc: Doc, start: int, end: int, label: str) -> Span:
        """Return the span that is written for one that was found."""
        return Span(doc, start, end, label=label)

    def labels_of(self, example: Example) -> Iterable[str]:
        """Return the labels of an example's spans."""
        return (self.label_of(span) for span in self.gold_spans(example.reference) or ())

    def set_annotations(self, docs: Iterable[Doc], predictions: list[Prediction]) -> None:
        """Write the spans of Docs that do not have the group, and their confidences."""
        key = self.cfg["spans_key"]
        for doc, found in zip(docs, predictions, strict=True):
            if key not in doc.spans:
                spans = [self.make_span(doc, start, end, label) for start, end, label, _ in found]
                doc.spans[key] = SpanGroup(doc, name=key, spans=spans, attrs={SCORES: [score for *_, score in found]})

    def gold_spans(self, reference: Doc) -> SpanGroup | None:
        """Return the group of a gold Doc; None if it has none."""
        return reference.spans.get(self.cfg["spans_key"])

    def _gold_tags(self, example: Example) -> Iterator[int | None]:
        """Yield the tag of each token; None for spaces, and for all where the group is not there.

        RAISES (PTuningError): P448 if spans overlap. P401 for a label that is none of the head's.
        """
        doc, gold = example.predicted, self.gold_spans(example.reference)
        if gold is None:
            yield from [None] * len(doc)
            return
        tags: list[str | None] = [None if token.is_space else OUTSIDE for token in doc]
        for span in gold:
            words = [token.i for token in place_span(span, doc) if not token.is_space]
            if any(tags[word] != OUTSIDE for word in words):
                raise PTuningError(Errors.P448.format(name=self.name, span=span.text, key=self.cfg["spans_key"]))
            for word, prefix in zip(words, biluo_prefixes(len(words)) if words else (), strict=True):
                tags[word] = f"{prefix}-{self.label_of(span)}"
        try:
            yield from self.tag_scheme.encode(tags)
        except KeyError as error:
            raise self._unknown_label(error.args[0]) from None

    def _free_tokens(self, docs: list[Doc]) -> FreeTokens:
        return find_free_tokens(docs, in_entities=True)
