"""Predicates, found by a linear head over token vectors, for `role_labeler`.

In: Docs and their token vectors. Out: `doc.spans["predicates"]`, spans without a label, with a confidence each; see
`span_labeler.py`. A Doc that has the group already keeps it: those predicates are given.
"""

from typing import Any

from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from ..annotations.names import PREDICATES
from ..annotations.roles import VERB
from .head import HeadModel, Scorer
from .span_labeler import SpanLabeler


class PredicateFinder(SpanLabeler):
    """Finds predicates, all of one kind, whatever their lemma or sense. Arguments: as of `SpanLabeler`."""

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

    def label_of(self, span: Span) -> str:
        """Return the one label."""
        return VERB

    def make_span(self, doc: Doc, start: int, end: int, label: str) -> Span:
        """Return a span without a label, which would be its lemma or sense."""
        return Span(doc, start, end)
