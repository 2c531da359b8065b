"""Classes of texts: one row for each sequence, the paper's head on it, one class that is right.

In: Docs; for pairs, what the Doc is paired with (`alignment/layouts.py`). Out: `doc.cats`, a probability for each
label. Source: Liu et al. 2021, section 3.3 ("Classification Head"), https://arxiv.org/abs/2110.07602.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab

from ..alignment.layouts import DocLayout, PairLayout
from ..errors import Errors, PTuningError
from .head import HeadModel, Scorer
from .labelled_head import LabelledHead
from .losses import log_softmax
from .sequence_scores import layout_of, score_sequences

Classes = dict[str, float]


class TextClassifier(LabelledHead):
    """Chooses one of its labels for each Doc.

    vocab, model, name, scorer: See `Head`; the model is `spacy_ptv2.SequenceClassifier.v1` over a
        `spacy_ptv2.SequenceEncoder.v1` with the layout `spacy_ptv2.DocLayout.v1`.
    """

    layout_kind: type[DocLayout] | type[PairLayout] = DocLayout
    slack = 1.5  # entailment stays at chance for hundreds of steps

    def __init__(
        self, vocab: Vocab, model: HeadModel, name: str = "text_classifier", *, scorer: Scorer | None = None
    ) -> None:
        super().__init__(vocab, model, name, fixed={}, configured={}, scorer=scorer)
        self.layout = layout_of(model, name, self.layout_kind)

    @property
    def given(self) -> tuple[str, ...]:
        """What the Doc is paired with, if anything."""
        return self.layout.given

    @property
    def outputs(self) -> Sequence[str] | None:
        """The labels."""
        return self.labels or None

    def labels_of(self, example: Example) -> Iterable[str]:
        """Return the classes that an example names."""
        return example.reference.cats

    def _rows_per_output(self, docs: Sequence[Doc]) -> list[int]:
        return [1 for _ in self.layout(docs)]

    def predict(self, docs: Iterable[Doc]) -> list[Classes]:
        """Return the probability of each label for each Doc."""
        docs = list(docs)
        found: list[Classes] = [{} for _ in docs]
        for scored in score_sequences(self.model, self.layout, docs):
            for own in scored:
                probabilities = np.exp(log_softmax(np, own.scores))[0].tolist()
                found[own.doc] = dict(zip(self.labels, probabilities, strict=True))
        return found

    def set_annotations(self, docs: Iterable[Doc], predictions: list[Classes]) -> None:
        """Write the probabilities into `doc.cats`; classes of other components stay there."""
        for doc, classes in zip(docs, predictions, strict=True):
            doc.cats.update(classes)

    def _gold(self, examples: Sequence[Example]) -> list[int | None]:
        return [self._gold_class(example) for example in examples]

    def _gold_class(self, example: Example) -> int | None:
        right = [label for label, value in example.reference.cats.items() if value > 0.5]
        if len(right) > 1:
            raise PTuningError(Errors.P444.format(name=self.name, text=example.text[:50], got=", ".join(right)))
        if not right:
            return None
        if right[0] not in self.labels:
            raise self._unknown_label(right[0])
        return self.labels.index(right[0])


class PairClassifier(TextClassifier):
    """Chooses one of its labels for each Doc and the text that it is paired with. The layout is `PairLayout.v1`."""

    layout_kind = PairLayout

    def _gold(self, examples: Sequence[Example]) -> list[int | None]:
        for example in examples:
            if (n_pairs := len(self.layout([example.predicted]))) != 1:
                raise PTuningError(Errors.P445.format(name=self.name, text=example.text[:50], got=n_pairs))
        return super()._gold(examples)
