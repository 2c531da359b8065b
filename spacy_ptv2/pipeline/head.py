"""The base of components with a head: updates, reports of losses, settings, saving.

In: examples. Out: a trained output layer over the rows of the model's `tok2vec`. A subclass says what the task is: what
the outputs stand for, what is gold, and what the loss is.
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

from ..annotations.given import give
from ..errors import Errors, FormatError
from ..optimizers.divergence import ChanceLoss
from ..optimizers.protocol import observe
from .private_settings import withdraw_downloads
from .requirements import record_requirements
from .safetensors_pipe import SafetensorsPipe
from .whole_batch import Counts, whole_batch

HeadModel = Model[list[Doc], list[Floats2d]]
Scorer = Callable[..., dict[str, Any]]
SAMPLE = 10  # examples that sizes are inferred from


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
        self.cfg: dict[str, Any] = {**fixed, **configured, "configured": dict(configured)}
        self._unreported: list[float] = []  # losses since the last step
        self._seen = ChanceLoss(0)  # the gold outputs of the same batches
        # how many rows or choices of a gold Doc a loss is averaged over, where several processes share a batch
        self._averaged = Counts()

    slack = 1.0  # see `ChanceLoss`

    @abstractmethod
    def _gold(self, examples: Sequence[Example]) -> Any:
        """Return what is right, as `_loss_of` takes it."""

    @abstractmethod
    def _loss_of(self, gold: Any, scores: list[Floats2d]) -> tuple[float, list[Floats2d]]:
        """Return the loss and its gradient. scores: Shape of each, and of its gradient: (n_rows, n_outputs)"""

    @abstractmethod
    def _count(self, gold: Any, chance: ChanceLoss) -> None:
        """Count gold outputs, for what a model would lose that knows how frequent they are and nothing else."""

    @property
    def given(self) -> tuple[str, ...]:
        """The annotations that this task is given rather than predicts; see `give`."""
        return ()

    @property
    def n_outputs(self) -> int:
        """How many outputs the head has."""
        return len(self.outputs or ())

    def initialize(self, get_examples: Callable[[], Iterable[Example]], *, nlp: Language | None = None) -> None:
        """Size the output layer.

        RAISES (PTuningError): P404 if the config has another size.
        """
        validate_get_examples(get_examples, f"{type(self).__name__}.initialize")
        self._size_output()
        read = (self._read(example) for example in get_examples())
        docs = list(islice((doc for doc in read if any(self._rows_per_output([doc]))), SAMPLE))
        sample = [self.model.ops.alloc2f(n_rows, self.n_outputs) for n_rows in self._rows_per_output(docs)]
        if not docs:  # labels without examples
            self._set_sizes()
        self.model.initialize(X=docs or None, Y=sample or None)
        record_requirements(nlp, [self.model])
        withdraw_downloads(nlp)

    def _set_sizes(self) -> None:
        """Set the sizes of the output layer that are otherwise inferred from examples."""
        tok2vec, output = (self.model.get_ref(name) for name in ("tok2vec", "output_layer"))
        tok2vec.initialize()
        output.set_dim("nI", tok2vec.get_dim("nO") * self.model.attrs.get("rows_per_sequence", 1))
        output.set_dim("nO", self.n_outputs)

    def _size_output(self) -> None:
        """Refuse an output layer of another size than the outputs have."""

    def _rows_per_output(self, docs: Sequence[Doc]) -> list[int]:
        """Return how many rows each array has that the model makes of some Docs: here a row for each token."""
        return [len(doc) for doc in docs]

    def _read(self, example: Example) -> Doc:
        """Return the predicted Doc of an example, with what the task is given."""
        give(example.reference, example.predicted, self.given)
        return example.predicted

    def _reading(self, examples: Sequence[Example]) -> Sequence[Example]:
        """Return examples whose predicted Docs have what the task is given."""
        for example in examples:
            self._read(example)
        return examples

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
        docs = [example.predicted for example in self._reading(examples)]
        if not any(self._rows_per_output(docs)):
            return losses
        set_dropout_rate(self.model, drop)
        scores, backprop = self.model.begin_update(docs)
        gold = self._gold(examples)
        loss, d_scores = self._loss_of(gold, scores)
        share = self._share(gold)
        backprop(d_scores if share == 1.0 else [own * share for own in d_scores])
        if self._seen.n_tags != self.n_outputs:
            self._seen = ChanceLoss(self.n_outputs, self.slack)
        self._count(gold, self._seen)
        self._unreported.append(loss)
        if sgd is not None:
            self.finish_update(sgd)
        losses[self.name] += loss * share if math.isfinite(loss) else 0.0
        return losses

    def _share(self, gold: Any) -> float:
        """Return the share of this batch in the average over the batch that several processes share."""
        whole = whole_batch()
        if whole is None:
            return 1.0
        for example in whole:
            if example.reference not in self._averaged:
                self._averaged[example.reference] = self._n_averaged(self._gold(self._reading([example])))
        return self._n_averaged(gold) / max(1, sum(self._averaged[example.reference] for example in whole))

    def _n_averaged(self, gold: Any) -> int:
        """Return how many rows or choices a loss is averaged over."""
        chance = ChanceLoss(self.n_outputs)
        self._count(gold, chance)
        return int(chance.counts.sum()) + chance.n_choices

    def finish_update(self, sgd: Optimizer) -> None:
        """Let the optimizer step; one of ours also gets the losses."""
        if self._unreported:
            observe(sgd, self.name, sum(self._unreported) / len(self._unreported), self._seen)
        self._unreported, self._seen = [], ChanceLoss(0)
        super().finish_update(sgd)

    def get_loss(self, examples: Iterable[Example], scores: list[Floats2d]) -> tuple[float, list[Floats2d]]:
        """Return the loss and its gradient. scores: Shape of each, and of its gradient: (n_rows, n_outputs)"""
        return self._loss_of(self._gold(list(examples)), scores)

    def check_cfg(self, cfg: dict[str, Any], where: str) -> None:
        """Refuse settings that `to_disk` never wrote.

        RAISES (FormatError): P641.
        """
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
            details = f"the head has {n_outputs} outputs, the settings of cfg make {self.n_outputs}"
            raise FormatError(Errors.P305.format(path=where, details=details))
        if None not in (width, head.maybe_get_dim("nI")):
            got = width * self.model.attrs.get("rows_per_sequence", 1)
            if head.get_dim("nI") != got:
                details = f"the head takes vectors of width {head.get_dim('nI')}, and gets {got}"
                raise FormatError(Errors.P305.format(path=where, details=details))
