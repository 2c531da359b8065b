"""Semantic roles of predicates: one sequence per predicate, a tag for each token, decoded to valid spans.

In: Docs with predicates in `doc.spans["predicates"]`, given or found. Out: `doc.spans["roles"]` and `doc._.frames`
(`annotations/roles.py`). The predicate itself takes no tag, nor does a token of spaces.
Source: Liu et al. 2021, section 4.1 ("Semantic Role Labeling"), https://arxiv.org/abs/2110.07602.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.vocab import Vocab

from ..alignment.layouts import PredicateLayout
from ..alignment.sequences import InputSequence
from ..annotations.given import place_span
from ..annotations.names import ROLES
from ..annotations.roles import frames_of, set_roles
from .confidences import entity_products
from .head import HeadModel, Scorer
from .labelled_head import LabelledHead
from .losses import log_softmax
from .sequence_scores import ScoredSequence, layout_of, score_sequences
from .tag_schemes import TagScheme

PredicateFinder = Callable[[Doc], list[Span]]
Roles = list[tuple[int, int, str, float]]  # start, end, label, confidence


class RoleLabeler(LabelledHead):
    """Labels the roles of predicates with one linear layer over the token vectors of each predicate's sequence.

    vocab, model, name, scorer: See `Head`; the model is `spacy_ptv2.TokenClassifier.v1` over a
        `spacy_ptv2.SequenceEncoder.v1` with the layout `spacy_ptv2.PredicateLayout.v1`.
    find_predicates (Callable | None): Returns the predicates of a Doc that has none given; None to label given ones
        alone.
    roles_key (str): Where `doc.spans` keeps the roles.
    """

    slack = 1.5  # which words a predicate is about takes a few hundred steps to learn

    def __init__(
        self,
        vocab: Vocab,
        model: HeadModel,
        name: str = "role_labeler",
        *,
        find_predicates: PredicateFinder | None = None,
        roles_key: str = ROLES,
        scorer: Scorer | None = None,
    ) -> None:
        super().__init__(vocab, model, name, fixed={"roles_key": roles_key}, configured={}, scorer=scorer)
        self.find_predicates = find_predicates
        self.layout = layout_of(model, name, PredicateLayout)
        self._tag_scheme = TagScheme("iob2", ())

    @property
    def given(self) -> tuple[str, ...]:
        """Sentences and predicates."""
        return self.layout.given

    @property
    def tag_scheme(self) -> TagScheme:
        """The tags over the present labels."""
        if self._tag_scheme.labels != self.labels:
            self._tag_scheme = TagScheme("iob2", self.labels)
        return self._tag_scheme

    @property
    def outputs(self) -> Sequence[str] | None:
        """The tags."""
        return self.tag_scheme.tags if self.labels else None

    def labels_of(self, example: Example) -> Iterable[str]:
        """Return the labels of its roles."""
        return (role.label_ for role in example.reference.spans.get(self.cfg["roles_key"], ()))

    def _rows_per_output(self, docs: Sequence[Doc]) -> list[int]:
        return [len(sequence.body) for sequence in self.layout(docs)]

    def predict(self, docs: Iterable[Doc]) -> list[list[Roles]]:
        """Return for each Doc, and for each of its predicates, the roles."""
        docs = list(docs)
        for doc in docs:
            if self.find_predicates is not None and self.layout.spans_key not in doc.spans:
                doc.spans[self.layout.spans_key] = self.find_predicates(doc)
        found: list[list[Roles]] = [[] for _ in docs]
        for scored in score_sequences(self.model, self.layout, docs):
            for own, roles in zip(scored, self._decode(scored), strict=True):
                found[own.doc].append(roles)
        return found

    def set_annotations(self, docs: Iterable[Doc], predictions: list[list[Roles]]) -> None:
        """Write the roles of each Doc."""
        for doc, frames in zip(docs, predictions, strict=True):
            spans = [[role[:3] for role in roles] for roles in frames]
            set_roles(doc, spans, [[role[3] for role in roles] for roles in frames], self.cfg["roles_key"])

    def _gold(self, examples: Sequence[Example]) -> list[int | None]:
        return [tag for example in examples for tag in self._gold_tags(example)]

    def _gold_tags(self, example: Example) -> Iterator[int | None]:
        doc = example.predicted
        frames = frames_of(example.reference, self.layout.spans_key, self.cfg["roles_key"])
        sequences = self.layout([doc])
        if len(frames) != len(sequences):  # predicates that are not gold: nothing is known of them
            yield from [None] * sum(len(sequence.body) for sequence in sequences)
            return
        for sequence, frame in zip(sequences, frames, strict=True):
            tags: list[int | None] = [self.tag_scheme.tag_ids["O"]] * len(doc)
            for role in frame.roles:
                place = place_span(role, doc)
                words = [i for i in range(place.start, place.end) if not doc[i].is_space]
                if role.label_ not in self.labels:
                    raise self._unknown_label(role.label_)
                for number, word in enumerate(words):
                    tags[word] = self.tag_scheme.tag_ids[f"{'I' if number else 'B'}-{role.label_}"]
            for token in doc:
                if token.is_space:
                    tags[token.i] = None
            predicate = sequence.spans[0]
            tags[predicate.start : predicate.end] = [None] * len(predicate)
            yield from tags[sequence.body.start : sequence.body.end]

    def _decode(self, scored: Sequence[ScoredSequence]) -> list[Roles]:
        """Return the roles of each sequence."""
        stretches = [stretch for own in scored for stretch in _free_stretches(own.sequence)]
        owners = [number for number, own in enumerate(scored) for _ in _free_stretches(own.sequence)]
        found: list[Roles] = [[] for _ in scored]
        if not stretches:
            return found
        rows = [scored[owner].scores[stretch] for owner, stretch in zip(owners, stretches, strict=True)]
        log_probabilities = log_softmax(np, np.concatenate(rows))
        lengths = [len(stretch) for stretch in stretches]
        tags = self.tag_scheme.decode(log_probabilities, lengths)
        roles = self.tag_scheme.entities(tags)
        scores = entity_products(self.tag_scheme, log_probabilities, roles, lengths)
        place = np.concatenate(stretches)
        owner = np.repeat(owners, lengths)
        for (start, end, label), score in zip(roles, scores.tolist(), strict=True):
            number = int(owner[start])
            first = scored[number].sequence.body.start
            found[number].append((first + int(place[start]), first + int(place[end - 1]) + 1, label, score))
        return found


def _free_stretches(sequence: InputSequence) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
    """Return rows of a sequence that may have roles, no spaces, before the predicate and after it."""
    body, predicate = sequence.body, sequence.spans[0]
    words = np.array([token.i for token in body if not token.is_space], dtype=np.int64)
    sides = words[words < predicate.start], words[words >= predicate.end]
    return [side - body.start for side in sides if len(side)]
