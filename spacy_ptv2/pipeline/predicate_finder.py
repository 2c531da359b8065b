"""Predicates, found by a linear head over token vectors, for `role_labeler`.

In: Docs and their token vectors. Out: `doc.spans["predicates"]`, spans without a label, with a confidence each. A Doc
that has the group already keeps it: those predicates are given. The head and its decoding are those of entities.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example
from spacy.vocab import Vocab

from ..annotations.given import place_span
from ..annotations.names import PREDICATES
from ..annotations.roles import SCORES, VERB
from .entities import FreeTokens, Prediction, find_free_tokens
from .head import HeadModel, Scorer
from .token_classifier import TokenClassifier


class PredicateFinder(TokenClassifier):
    """Finds predicates, all of one kind, whatever their lemma or sense.

    vocab, model, name, scorer: See `Head`; the model is `spacy_ptv2.TokenClassifier.v1`.
    spans_key (str): Where `doc.spans` keeps the predicates.
    settings: `confidence` and `threshold`, as of `TokenClassifier`.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: HeadModel,
        name: str = "predicate_finder",
        *,
        spans_key: str = PREDICATES,
        scorer: Scorer | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(vocab, model, name, spans_key=spans_key, scorer=scorer, **settings)

    def labels_of(self, example: Example) -> Iterable[str]:
        """Return the one label for an example with predicates."""
        return [VERB] if len(example.reference.spans.get(self.cfg["spans_key"], ())) else []

    def set_annotations(self, docs: Iterable[Doc], predictions: list[Prediction]) -> None:
        """Write the predicates of Docs that have none given, and their confidences."""
        key = self.cfg["spans_key"]
        for doc, found in zip(docs, predictions, strict=True):
            if key not in doc.spans:
                spans = [Span(doc, start, end) for start, end, *_ in found]
                attrs = {SCORES: [score for *_, score in found]}
                doc.spans[key] = SpanGroup(doc, name=key, spans=spans, attrs=attrs)

    def _gold_tags(self, example: Example) -> Iterator[int | None]:
        doc, key = example.predicted, self.cfg["spans_key"]
        if key not in example.reference.spans:  # nothing is known of them
            yield from [None] * len(doc)
            return
        tags: dict[int, str] = {}
        for span in example.reference.spans[key]:
            words = [token.i for token in place_span(span, doc) if not token.is_space]
            tags |= {word: f"{'I' if number else 'B'}-{VERB}" for number, word in enumerate(words)}
        for token in doc:
            yield None if token.is_space else self.tag_scheme.tag_ids[tags.get(token.i, "O")]

    def _free_tokens(self, docs: list[Doc]) -> FreeTokens:
        return find_free_tokens(docs, in_entities=True)
