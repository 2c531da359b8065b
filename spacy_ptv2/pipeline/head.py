"""The base of components with a head: labels, updates, reports of losses, settings, saving.

In: examples. Out: a trained output layer over the rows of the model's `tok2vec`. A subclass says what the task is:
which labels an example has, what the outputs stand for, what is gold, and what the loss is.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.vocab import Vocab
from thinc.api import Model, Optimizer, set_dropout_rate
from thinc.types import Floats2d

from ..errors import Errors, FormatError, PTuningError
from ..optimizers.divergence import ChanceLoss
from ..optimizers.protocol import observe
from .private_settings import withdraw_downloads
from .requirements import record_requirements
from .resizing import grow_output
from .safetensors_pipe import SafetensorsPipe

HeadModel = Model[list[Doc], list[Floats2d]]
Scorer = Callable[..., dict[str, Any]]


class Head(SafetensorsPipe):
    """A component that trains a linear layer over the rows of an encoder.

    vocab (Vocab): The shared vocabulary.
    model (Model[list[Doc], list[Floats2d]]): With the refs "tok2vec" and "output_layer".
    name (str): Its name.
    fixed (Mapping[str, Any]): Settings that are saved, and loaded whatever the config says at that time.
    configured (Mapping[str, Any]): Settings that are saved too; a config that has changed since overrides them.
    scorer (Callable | None): For `nlp.evaluate`.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: HeadModel,
        name: str,
        *,
        fixed: Mapping[str, Any],
        configured: Mapping[str, Any],
        scorer: Scorer | None,
    ) -> None:
        self.vocab = vocab
        self.model = model
        self.name = name
        self.scorer = scorer
        self.cfg: dict[str, Any] = {"labels": [], **fixed, **configured, "configured": dict(configured)}
        self._unreported: list[float] = []  # losses since the last step
        self._seen = ChanceLoss(0)  # the gold outputs of the same batches

    @abstractmethod
    def labels_of(self, example: Example) -> Iterable[str]:
        """Return the labels in an example."""

    @abstractmethod
    def _gold(self, examples: Iterable[Example]) -> list[int | None]:
        """Return the output that is right for each row of all examples, None where it is unknown."""

    @abstractmethod
    def _loss_of(self, gold: Sequence[int | None], scores: list[Floats2d]) -> tuple[float, list[Floats2d]]:
        """Return the loss and its gradient. scores: Shape of each, and of its gradient: (n_rows, n_outputs)"""

    @property
    def n_outputs(self) -> int:
        """How many outputs the present labels make."""
        return len(self.outputs or ())

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the output layer."""
        return tuple(self.cfg["labels"])

    @property
    def label_data(self) -> list[str]:
        """What `spacy init labels` writes and `[initialize.components]` reads back."""
        return list(self.labels)

    def add_label(self, label: str) -> int:
        """Add a label. A trained output layer grows; what it has learned stays as it is.

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
            grow_output(self.model, output, self.n_outputs)
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
        validate_get_examples(get_examples, f"{type(self).__name__}.initialize")
        n_examples = 0
        if labels is None:
            found: set[str] = set()
            for example in get_examples():
                n_examples += 1
                found.update(self.labels_of(example))
            labels = sorted(found)
        for label in labels:
            self.add_label(label)
        if not self.labels:
            raise PTuningError(Errors.P402.format(name=self.name, n_examples=n_examples))
        expected, got = self.n_outputs, self.model.get_ref("output_layer").maybe_get_dim("nO")
        if got not in (None, expected):
            names = ", ".join(self.labels)
            raise PTuningError(Errors.P404.format(name=self.name, got=got, labels=names, expected=expected))
        docs = [example.x for example in islice(get_examples(), 10)]
        sample = [self.model.ops.alloc2f(len(doc), expected) for doc in docs]
        self.model.initialize(X=docs or None, Y=sample or None)
        record_requirements(nlp, [self.model])
        withdraw_downloads(nlp)

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Learn from a batch. A loss that is not finite is left out of `losses`, and its gradient of the step."""
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, f"{type(self).__name__}.update")
        docs = [example.predicted for example in examples]
        if not any(len(doc) for doc in docs):
            return losses
        set_dropout_rate(self.model, drop)
        scores, backprop = self.model.begin_update(docs)
        gold = self._gold(examples)
        loss, d_scores = self._loss_of(gold, scores)
        backprop(d_scores)
        if self._seen.n_tags != self.n_outputs:
            self._seen = ChanceLoss(self.n_outputs)
        self._seen.add(output for output in gold if output is not None)
        self._unreported.append(loss)
        if sgd is not None:
            self.finish_update(sgd)
        losses[self.name] += loss if math.isfinite(loss) else 0.0
        return losses

    def finish_update(self, sgd: Optimizer) -> None:
        """Let the optimizer step; one of ours also gets the losses."""
        if self._unreported:
            observe(sgd, self.name, sum(self._unreported) / len(self._unreported), self._seen)
        self._unreported, self._seen = [], ChanceLoss(0)
        super().finish_update(sgd)

    def get_loss(self, examples: Iterable[Example], scores: list[Floats2d]) -> tuple[float, list[Floats2d]]:
        """Return the loss and its gradient. scores: Shape of each, and of its gradient: (n_rows, n_outputs)"""
        return self._loss_of(self._gold(examples), scores)

    def check_cfg(self, cfg: dict[str, Any], where: str) -> None:
        """Refuse settings that `to_disk` never wrote.

        RAISES (FormatError): P641.
        """
        labels = cfg.get("labels")
        is_list = isinstance(labels, list) and all(isinstance(label, str) and label for label in labels)
        if not is_list or len(set(labels or ())) != len(labels or ()):
            raise FormatError(Errors.P641.format(path=where, field="labels", expected="different names", got=labels))
        if not isinstance(configured := cfg.get("configured", {}), dict):
            expected = "a JSON object"
            raise FormatError(Errors.P641.format(path=where, field="configured", expected=expected, got=configured))

    def _load_cfg(self, data: bytes, where: str) -> None:
        """Take what was saved, except for settings that the config has changed since."""
        configured = self.cfg["configured"]
        super()._load_cfg(data, where)
        before = self.cfg["configured"]
        self.cfg.update({name: value for name, value in configured.items() if before.get(name) != value})
        self.cfg["configured"] = configured

    def _load_model(self, data: bytes, where: str) -> None:
        super()._load_model(data, where)
        head, tok2vec = (self.model.get_ref(name) for name in ("output_layer", "tok2vec"))
        n_outputs, width = head.maybe_get_dim("nO"), tok2vec.maybe_get_dim("nO")
        if n_outputs not in (None, self.n_outputs):
            details = f"the head has {n_outputs} outputs, the labels of cfg make {self.n_outputs}"
            raise FormatError(Errors.P305.format(path=where, details=details))
        if None not in (width, head.maybe_get_dim("nI")) and head.get_dim("nI") != width:
            details = f"the head takes vectors of width {head.get_dim('nI')}, and gets {width}"
            raise FormatError(Errors.P305.format(path=where, details=details))
