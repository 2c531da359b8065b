"""Named entities by token classification: the linear head of the paper, decoded so that only valid entities come out.

In: Docs and their token vectors. Out: `doc.ents`, and the entities found here, each with a confidence, under
`doc.spans[spans_key].attrs["scores"]`. Entities that are already set are kept, and decoded around (`entities.py`).
Source: Liu et al. 2021, section 3.3 ("Classification Head"), https://arxiv.org/abs/2110.07602.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example
from spacy.vocab import Vocab
from thinc.api import Optimizer
from thinc.types import Floats2d

from ..errors import Errors, FormatError, PTuningError
from .confidences import CONFIDENCES, DEFAULTS, FITTED, Confidence, at_temperature, wrong_setting
from .entities import FreeTokens, Prediction, add_entities, find_free_tokens
from .head import HeadModel, Scorer
from .labelled_head import LabelledHead
from .losses import log_softmax
from .marginals import Entity, Floats1d
from .tag_schemes import OUTSIDE, SCHEMES, Scheme, TagScheme


@dataclass(frozen=True)
class Decoded:
    """What is found in some Docs, without confidences.

    free (FreeTokens): The tokens that were decoded.
    log_probabilities (NDArray): Of their tags. Shape: (n_free, n_tags)
    entities (list[tuple[int, int, str]]): (start, end, label) in free tokens, end exclusive.
    """

    free: FreeTokens
    log_probabilities: NDArray[np.floating[Any]]
    entities: list[Entity]


class TokenClassifier(LabelledHead):
    """Labels entities with one linear layer over token vectors.

    vocab, model, name, scorer: See `Head`; the model is `spacy_ptv2.TokenClassifier.v1`.
    scheme ("iob2" | "biluo"): The tag scheme.
    spans_key (str): Where `doc.spans` keeps the confidences.
    overwrite (bool): Replace entities that are already set, instead of keeping them.
    confidence ("product" | "marginal"): See `confidences.py`.
    threshold (float): Entities with a lower confidence are left out; from 0 to 1.
    temperature (float): Confidences are computed with logits divided by it. Which entities are found is not.
    outside_bias (float): What the score of "O" is lowered by: the higher, the more entities are found (Menon et al.
        2021, section 4, https://arxiv.org/abs/2007.07314).
    """

    def __init__(
        self,
        vocab: Vocab,
        model: HeadModel,
        name: str = "token_classifier",
        *,
        scheme: Scheme = "iob2",
        spans_key: str = "ents",
        overwrite: bool = False,
        confidence: Confidence = DEFAULTS["confidence"],
        threshold: float = DEFAULTS["threshold"],
        temperature: float = DEFAULTS["temperature"],
        outside_bias: float = DEFAULTS["outside_bias"],
        scorer: Scorer | None = None,
    ) -> None:
        configured = {
            "confidence": confidence,
            "threshold": threshold,
            "temperature": temperature,
            "outside_bias": outside_bias,
        }
        if wrong := wrong_setting(configured):
            raise PTuningError(Errors.P407.format(name=wrong[0], expected=wrong[1], got=configured[wrong[0]]))
        fixed = {"scheme": TagScheme(scheme, ()).scheme, "spans_key": spans_key}
        super().__init__(vocab, model, name, fixed=fixed, configured=configured, scorer=scorer)
        self.overwrite = overwrite
        self._tag_scheme: TagScheme | None = None
        self.observer: Callable[[Decoded], object] | None = None  # is told of all that is found, with no threshold

    @property
    def tag_scheme(self) -> TagScheme:
        """The tags for the current labels."""
        if self._tag_scheme is None or self._tag_scheme.labels != self.labels:
            self._tag_scheme = TagScheme(self.cfg["scheme"], self.labels)
        return self._tag_scheme

    @property
    def outputs(self) -> Sequence[str] | None:
        """The tags, on which the settings and the output layer must agree."""
        return self.tag_scheme.tags if self.labels else None

    def check_cfg(self, cfg: dict[str, Any], where: str) -> None:
        """Refuse settings that `to_disk` never wrote.

        RAISES (FormatError): P641.
        """
        super().check_cfg(cfg, where)
        for field, kind in (("scheme", SCHEMES), ("spans_key", None)):
            value = cfg.get(field)
            if not isinstance(value, str) or (kind is not None and value not in kind):
                expected = " or ".join(kind) if kind else "a name"
                raise FormatError(Errors.P641.format(path=where, field=field, expected=expected, got=value))
        if wrong := wrong_setting({**DEFAULTS, **cfg}):
            raise FormatError(Errors.P641.format(path=where, field=wrong[0], expected=wrong[1], got=cfg[wrong[0]]))

    def label_of(self, span: Span) -> str:
        """Return the label that is learned of a gold span."""
        return span.label_

    def labels_of(self, example: Example) -> Iterable[str]:
        """Return the labels of an example's entities."""
        return (ent.label_ for ent in example.reference.ents)

    def predict(self, docs: Iterable[Doc]) -> list[Prediction]:
        """Return each Doc's entities with a confidence, without those below the threshold."""
        docs = list(docs)
        logits: Any = np.zeros((0, 1), dtype=np.float32)
        if any(len(doc) for doc in docs):
            logits = self.model.ops.to_numpy(self.model.ops.xp.concatenate(self.model.predict(docs)))
        return self.entities(docs, logits)

    def entities(self, docs: list[Doc], logits: Floats2d) -> list[Prediction]:
        """Return what `predict` does. logits: Of all Docs. Shape: (n_tokens, n_tags)"""
        decoded = self._decode(docs, logits)
        if self.observer is not None:
            self.observer(decoded)
        confidences = self.confidences(decoded, self.cfg["temperature"])
        kept = np.flatnonzero(~(confidences < self.cfg["threshold"]))
        return decoded.free.in_docs([decoded.entities[place] for place in kept], confidences[kept].tolist())

    def confidences(self, decoded: Decoded, temperature: float) -> Floats1d:
        """Return the confidence of each entity at a temperature. Shape: (n_entities,)"""
        log_probabilities = at_temperature(decoded.log_probabilities, temperature)
        measure = CONFIDENCES[self.cfg["confidence"]]
        return measure(self.tag_scheme, log_probabilities, decoded.entities, decoded.free.lengths)

    def set_annotations(self, docs: Iterable[Doc], predictions: list[Prediction]) -> None:
        """Write `doc.ents` and the confidences."""
        for doc, prediction in zip(docs, predictions, strict=True):
            add_entities(doc, prediction, self.cfg["spans_key"], overwrite=self.overwrite)

    def finish_update(self, sgd: Optimizer) -> None:
        """Let the optimizer step. What was fitted was so for the weights before: the config's counts."""
        super().finish_update(sgd)
        self.set_back()

    def set_back(self) -> None:
        """Take back the temperature and the outside bias that were fitted."""
        self.cfg.update({name: self.cfg["configured"][name] for name in FITTED})

    def gold_spans(self, reference: Doc) -> Sequence[Span] | SpanGroup | None:
        """Return what a gold Doc has of what is looked for; None if that is not known of all its tokens."""
        return reference.ents if reference.has_annotation("ENT_IOB", require_complete=True) else None

    def _gold(self, examples: Sequence[Example]) -> list[int | None]:
        return [tag for example in examples for tag in self._gold_tags(example)]

    def _gold_tags(self, example: Example) -> Iterable[int | None]:
        try:
            is_space = [token.is_space for token in example.predicted]
            return self.tag_scheme.encode_words(example.get_aligned_ner(), is_space)
        except KeyError as error:
            raise self._unknown_label(error.args[0]) from None

    def _free_tokens(self, docs: list[Doc]) -> FreeTokens:
        return find_free_tokens(docs, overwrite=self.overwrite)

    def _decode(self, docs: list[Doc], logits: Floats2d) -> Decoded:
        """Return what is found in Docs. logits: Of all Docs. Shape: (n_tokens, n_tags)"""
        free = self._free_tokens(docs)
        return self.decode(free, log_softmax(np, np.asarray(logits)[free.rows]), self.cfg["outside_bias"])

    def decode(self, free: FreeTokens, log_probabilities: NDArray[np.floating[Any]], bias: float) -> Decoded:
        """Return what is found with the score of "O" lowered by a bias.

        log_probabilities (NDArray): Of the free tokens' tags, without the bias. Shape: (n_free, n_tags)
        """
        if bias and len(log_probabilities):
            lowered = np.array(log_probabilities)
            lowered[:, self.tag_scheme.tag_ids[OUTSIDE]] -= bias
            log_probabilities = log_softmax(np, lowered)
        tags = self.tag_scheme.decode(log_probabilities, free.lengths)
        return Decoded(free, log_probabilities, self.tag_scheme.entities(tags))
