"""Choices: several second texts for one Doc, of which one is right, as in COPA and ReCoRD.

In: Docs with `doc._.second_text`, a list. Out: `doc._.choice`, the number of the best, and `doc._.choice_scores`, a
probability of each. Each choice is a sequence of its own; the softmax is over the choices of a Doc.
Source: Wang et al. 2019, section 3, https://arxiv.org/abs/1905.00537.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab
from thinc.types import Floats2d

from ..alignment.layouts import PairLayout
from ..annotations.names import CHOICE, CHOICE_SCORES, add_extension
from ..corpora.contents import choices_of
from ..errors import Errors, PTuningError
from ..optimizers.divergence import ChanceLoss
from .head import Head, HeadModel, Scorer
from .losses import Target, choice_loss, log_softmax
from .sequence_scores import layout_of, score_sequences


class ChoiceClassifier(Head):
    """Chooses one of the second texts of each Doc.

    vocab, model, name, scorer: See `Head`; the model is `spacy_ptv2.SequenceClassifier.v1` over a
        `spacy_ptv2.SequenceEncoder.v1` with the layout `spacy_ptv2.PairLayout.v1`.
    """

    slack = 1.5  # as of `TextClassifier`

    def __init__(
        self, vocab: Vocab, model: HeadModel, name: str = "pair_classifier", *, scorer: Scorer | None = None
    ) -> None:
        super().__init__(vocab, model, name, fixed={}, configured={}, scorer=scorer)
        self.layout = layout_of(model, name, PairLayout)
        for attribute in (CHOICE, CHOICE_SCORES):
            add_extension(attribute)

    @property
    def given(self) -> tuple[str, ...]:
        """The texts to choose from."""
        return self.layout.given

    @property
    def outputs(self) -> Sequence[str]:
        """How well a text fits."""
        return ("choice",)

    def initialize(self, get_examples: Callable[[], Iterable[Example]], *, nlp: Language | None = None) -> None:
        """Size the output layer.

        RAISES (PTuningError): P446 if no example has a gold choice.
        """
        if not any(choices_of(example.reference) for example in get_examples()):
            raise PTuningError(Errors.P446.format(name=self.name))
        super().initialize(get_examples, nlp=nlp)

    def _rows_per_output(self, docs: Sequence[Doc]) -> list[int]:
        return [1 for _ in self.layout(docs)]

    def predict(self, docs: Iterable[Doc]) -> list[list[float]]:
        """Return for each Doc the probability of each choice."""
        docs = list(docs)
        found: list[list[float]] = [[] for _ in docs]
        for scored in score_sequences(self.model, self.layout, docs):
            for own in scored:
                found[own.doc].append(float(own.scores[0, 0]))
        return [np.exp(log_softmax(np, np.array([scores])))[0].tolist() if scores else [] for scores in found]

    def set_annotations(self, docs: Iterable[Doc], predictions: list[list[float]]) -> None:
        """Write the best choice and the probabilities."""
        for doc, scores in zip(docs, predictions, strict=True):
            if scores:
                doc._.set(CHOICE, int(np.argmax(scores)))
                doc._.set(CHOICE_SCORES, scores)

    def _gold(self, examples: Sequence[Example]) -> list[Target]:
        return list(self._targets(examples))

    def _targets(self, examples: Sequence[Example]) -> Iterator[Target]:
        for example in examples:
            n_choices = len(self.layout([example.predicted]))
            right = choices_of(example.reference)
            if right and not 0 <= right[0] < n_choices:
                text = example.text[:50]
                raise PTuningError(Errors.P447.format(name=self.name, text=text, got=right[0], expected=n_choices))
            yield Target(np.arange(n_choices), (right[0],) if right else None, may_be_none=False, n_rows=n_choices)

    def _loss_of(self, gold: Sequence[Target], scores: list[Floats2d]) -> tuple[float, list[Floats2d]]:
        xp: Any = self.model.ops.xp
        bounds = np.cumsum([0, *(target.n_rows for target in gold)])
        together = [xp.concatenate(scores[a:b]) for a, b in pairwise(bounds)]
        loss, gradients = choice_loss(xp, gold, together)
        return loss, [row for gradient in gradients for row in xp.split(gradient, len(gradient))]

    def _count(self, gold: Sequence[Target], chance: ChanceLoss) -> None:
        for target in gold:
            if target.right is not None:
                chance.add_choice(target.n_rows)
