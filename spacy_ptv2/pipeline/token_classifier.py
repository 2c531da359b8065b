"""Named entities by token classification: the linear head of the paper, decoded so that only valid entities come out.

In: Docs and their token vectors. Out: `doc.ents`, and the entities found here with a confidence each under
`doc.spans[spans_key].attrs["scores"]`. Entities that are there already are kept, and decoded around (`entities.py`).
Source: Liu et al. 2021, section 3.3 ("Classification Head"), https://arxiv.org/abs/2110.07602.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.vocab import Vocab
from thinc.api import Model, Optimizer, set_dropout_rate
from thinc.types import Floats2d

from ..errors import Errors, FormatError, PTuningError
from ..optimizers.divergence import ChanceLoss
from ..optimizers.protocol import observe
from .confidences import CONFIDENCES, DEFAULTS, Confidence, wrong_setting
from .entities import Prediction, add_entities, find_free_tokens
from .private_settings import withdraw_downloads
from .requirements import record_requirements
from .resizing import grow_output
from .safetensors_pipe import SafetensorsPipe
from .tag_schemes import SCHEMES, Scheme, TagScheme

Scorer = Callable[..., dict[str, Any]]


class TokenClassifier(SafetensorsPipe):
    """Labels entities with one linear layer over token vectors.

    vocab (Vocab): The shared vocabulary. model (Model[list[Doc], list[Floats2d]]): `spacy_ptv2.TokenClassifier.v1`.
    name (str): Its name. scheme ("iob2" | "biluo"): Tags. spans_key (str): Where `doc.spans` keeps the confidences.
    overwrite (bool): Replace entities that are there, instead of keeping them. confidence ("product" | "marginal"): See
    `confidences.py`. threshold (float): Entities with a lower confidence are left out; from 0 to 1. scorer
    (Callable | None): For `nlp.evaluate`.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model[list[Doc], list[Floats2d]],
        name: str = "token_classifier",
        *,
        scheme: Scheme = "iob2",
        spans_key: str = "ents",
        overwrite: bool = False,
        confidence: Confidence = DEFAULTS["confidence"],
        threshold: float = DEFAULTS["threshold"],
        scorer: Scorer | None = None,
    ) -> None:
        self.vocab = vocab
        self.model = model
        self.name = name
        self.scorer = scorer
        self.overwrite = overwrite
        configured = {"confidence": confidence, "threshold": threshold}
        if wrong := wrong_setting(configured):
            raise PTuningError(Errors.P407.format(name=wrong[0], expected=wrong[1], got=configured[wrong[0]]))
        self.cfg: dict[str, Any] = {
            "labels": [],
            "scheme": TagScheme(scheme, ()).scheme,
            "spans_key": spans_key,
            **configured,
            "configured": configured,
        }
        self._tag_scheme: TagScheme | None = None
        self._unreported: list[float] = []  # losses since the last step
        self._seen = ChanceLoss(0)  # the gold tags of the same batches

    @property
    def labels(self) -> tuple[str, ...]:
        """The entity labels, in the order of the output layer."""
        return tuple(self.cfg["labels"])

    @property
    def label_data(self) -> list[str]:
        """What `spacy init labels` writes and `[initialize.components]` reads back."""
        return list(self.labels)

    @property
    def tag_scheme(self) -> TagScheme:
        """The tags over the present labels."""
        if self._tag_scheme is None or self._tag_scheme.labels != self.labels:
            self._tag_scheme = TagScheme(self.cfg["scheme"], self.labels)
        return self._tag_scheme

    def add_label(self, label: str) -> int:
        """Add an entity label. A trained output layer grows; what it has learned stays as it is.

        RETURNS (int): 1 if it is new, 0 if it was there. RAISES (PTuningError): P408.
        """
        if not isinstance(label, str) or not label or label != label.strip():
            raise PTuningError(Errors.P408.format(got=label))
        if label in self.labels:
            return 0
        self.cfg["labels"] = [*self.labels, label]
        self.vocab.strings.add(label)
        output = self.model.get_ref("output_layer")
        if output.has_param("W"):
            grow_output(self.model, output, len(self.tag_scheme.tags))
        return 1

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        """Collect the labels (from `labels`, else from all examples, sorted) and size the output layer.

        RAISES (PTuningError): P402 if there is no label, P404 if the config has another size.
        """
        validate_get_examples(get_examples, "TokenClassifier.initialize")
        n_examples = 0
        if labels is None:
            found: set[str] = set()
            for example in get_examples():
                n_examples += 1
                found.update(ent.label_ for ent in example.reference.ents)
            labels = sorted(found)
        for label in labels:
            self.add_label(label)
        if not self.labels:
            raise PTuningError(Errors.P402.format(name=self.name, n_examples=n_examples))
        n_tags, n_outputs = len(self.tag_scheme.tags), self.model.get_ref("output_layer").maybe_get_dim("nO")
        if n_outputs not in (None, n_tags):
            labels = ", ".join(self.labels)
            raise PTuningError(Errors.P404.format(name=self.name, got=n_outputs, labels=labels, expected=n_tags))
        docs = [example.x for example in islice(get_examples(), 10)]
        sample = [self.model.ops.alloc2f(len(doc), n_tags) for doc in docs]
        self.model.initialize(X=docs or None, Y=sample or None)
        record_requirements(nlp, [self.model])
        withdraw_downloads(nlp)

    @property
    def outputs(self) -> Sequence[str] | None:
        """The tags, which the settings and the output layer must agree on."""
        return self.tag_scheme.tags if self.labels else None

    def check_cfg(self, cfg: dict[str, Any], where: str) -> None:
        """Refuse settings that `to_disk` never wrote.

        RAISES (FormatError): P641.
        """
        labels = cfg.get("labels")
        is_list = isinstance(labels, list) and all(isinstance(label, str) and label for label in labels)
        if not is_list or len(set(labels or ())) != len(labels or ()):
            raise FormatError(Errors.P641.format(path=where, field="labels", expected="different names", got=labels))
        for field, kind in (("scheme", SCHEMES), ("spans_key", None)):
            value = cfg.get(field)
            if not isinstance(value, str) or (kind is not None and value not in kind):
                expected = " or ".join(kind) if kind else "a name"
                raise FormatError(Errors.P641.format(path=where, field=field, expected=expected, got=value))
        if wrong := wrong_setting({**DEFAULTS, **cfg}):
            raise FormatError(Errors.P641.format(path=where, field=wrong[0], expected=wrong[1], got=cfg[wrong[0]]))
        if not isinstance(configured := cfg.get("configured", {}), dict):
            expected = "a JSON object"
            raise FormatError(Errors.P641.format(path=where, field="configured", expected=expected, got=configured))

    def _load_cfg(self, data: bytes, where: str) -> None:
        """Take what was saved, but for what the config says otherwise than when it was saved."""
        configured = self.cfg["configured"]
        super()._load_cfg(data, where)
        before = self.cfg["configured"]
        self.cfg.update({name: value for name, value in configured.items() if before.get(name) != value})
        self.cfg["configured"] = configured

    def _load_model(self, data: bytes, where: str) -> None:
        super()._load_model(data, where)
        head, tok2vec = (self.model.get_ref(name) for name in ("output_layer", "tok2vec"))
        n_tags, width = head.maybe_get_dim("nO"), tok2vec.maybe_get_dim("nO")
        if n_tags not in (None, len(self.tag_scheme.tags)):
            details = f"the head has {n_tags} tags, the labels of cfg make {len(self.tag_scheme.tags)}"
            raise FormatError(Errors.P305.format(path=where, details=details))
        if None not in (width, head.maybe_get_dim("nI")) and head.get_dim("nI") != width:
            details = f"the head takes vectors of width {head.get_dim('nI')}, and gets {width}"
            raise FormatError(Errors.P305.format(path=where, details=details))

    def predict(self, docs: Iterable[Doc]) -> list[Prediction]:
        """Return each Doc's entities with a confidence."""
        docs = list(docs)
        if not any(len(doc) for doc in docs):
            return [[] for _ in docs]
        logits = self.model.predict(docs)
        return self._decode(docs, self.model.ops.to_numpy(self.model.ops.xp.concatenate(logits)))

    def set_annotations(self, docs: Iterable[Doc], predictions: list[Prediction]) -> None:
        """Write `doc.ents` and the confidences."""
        for doc, prediction in zip(docs, predictions, strict=True):
            add_entities(doc, prediction, self.cfg["spans_key"], overwrite=self.overwrite)

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Learn from a batch: cross-entropy of the gold tags, averaged over the words that have one.

        One that is not finite is left out of `losses`, and its gradient of the step.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, "TokenClassifier.update")
        docs = [example.predicted for example in examples]
        if not any(len(doc) for doc in docs):
            return losses
        set_dropout_rate(self.model, drop)
        logits, backprop = self.model.begin_update(docs)
        gold = self._gold(examples)
        loss, d_logits = self._loss_of(gold, logits)
        backprop(d_logits)
        if self._seen.n_tags != len(self.tag_scheme.tags):
            self._seen = ChanceLoss(len(self.tag_scheme.tags))
        self._seen.add(tag for tag in gold if tag is not None)
        self._unreported.append(loss)
        if sgd is not None:
            self.finish_update(sgd)
        losses[self.name] += loss if math.isfinite(loss) else 0.0
        return losses

    def finish_update(self, sgd: Optimizer) -> None:
        """Let the optimizer step, and one of ours know how the training goes."""
        if self._unreported:
            observe(sgd, self.name, sum(self._unreported) / len(self._unreported), self._seen)
        self._unreported, self._seen = [], ChanceLoss(0)
        super().finish_update(sgd)

    def get_loss(self, examples: Iterable[Example], scores: list[Floats2d]) -> tuple[float, list[Floats2d]]:
        """Return the loss and its gradient. scores: Logits. Shape of each, and of its gradient: (n_tokens, n_tags)"""
        return self._loss_of(self._gold(examples), scores)

    def _loss_of(self, gold: Sequence[int | None], scores: list[Floats2d]) -> tuple[float, list[Floats2d]]:
        """Return what `get_loss` does. gold: The tag of each token of all scores, None where it is unknown."""
        xp = self.model.ops.xp
        rows = np.flatnonzero([tag is not None for tag in gold])
        columns = np.array([tag for tag in gold if tag is not None], dtype=np.int64)
        log_probabilities = _log_softmax(xp, xp.concatenate(scores))
        gradient = xp.zeros_like(log_probabilities)
        loss = 0.0
        if len(rows):
            gradient[rows] = xp.exp(log_probabilities[rows])
            gradient[rows, columns] -= 1.0
            gradient /= len(rows)
            loss = -float(log_probabilities[rows, columns].mean())
        return loss, xp.split(gradient, np.cumsum([len(s) for s in scores])[:-1])

    def _gold(self, examples: Iterable[Example]) -> list[int | None]:
        return [tag for example in examples for tag in self._gold_tags(example)]

    def _gold_tags(self, example: Example) -> list[int | None]:
        try:
            is_space = [token.is_space for token in example.predicted]
            return self.tag_scheme.encode_words(example.get_aligned_ner(), is_space)
        except KeyError as error:
            label = error.args[0]
            message = Errors.P401.format(label=label, name=self.name, labels=", ".join(self.labels) or "none")
            raise PTuningError(message) from None

    def _decode(self, docs: list[Doc], logits: Floats2d) -> list[Prediction]:
        """Return each Doc's entities. logits: Of all Docs. Shape: (n_tokens, n_tags)"""
        free = find_free_tokens(docs, overwrite=self.overwrite)
        log_probabilities = _log_softmax(np, np.asarray(logits)[free.rows])
        tags = self.tag_scheme.decode(log_probabilities, free.lengths)
        entities = self.tag_scheme.entities(tags)
        confidences = CONFIDENCES[self.cfg["confidence"]](self.tag_scheme, log_probabilities, entities, free.lengths)
        kept = np.flatnonzero(~(confidences < self.cfg["threshold"]))
        return free.in_docs([entities[place] for place in kept], confidences[kept].tolist())


def _log_softmax(xp: Any, logits: Any) -> Any:
    """logits: A numpy or cupy array (xp is its module). RETURNS: Another. Shape of both: (n_tokens, n_tags)"""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(axis=1, keepdims=True))
