"""The base of heads with labels, one of which is right for each row: entities, roles, classes of texts.

In: examples. Out: as `Head`. A subclass says which labels an example has, and which output is right for each row.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from spacy.language import Language
from spacy.training import Example, validate_get_examples
from spacy.vocab import Vocab
from thinc.types import Floats2d

from ..errors import Errors, FormatError, PTuningError
from ..optimizers.divergence import ChanceLoss
from .head import Head, HeadModel, Scorer
from .losses import cross_entropy
from .resizing import grow_output


class LabelledHead(Head):
    """A head whose outputs follow from its labels. Arguments: as of `Head`."""

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
        fixed = {"labels": [], **fixed}
        super().__init__(vocab, model, name, fixed=fixed, configured=configured, scorer=scorer)

    @abstractmethod
    def labels_of(self, example: Example) -> Iterable[str]:
        """Return the labels in an example."""

    @abstractmethod
    def _gold(self, examples: Sequence[Example]) -> list[int | None]:
        """Return the output that is right for each row of all examples, None where it is unknown."""

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
        super().initialize(get_examples, nlp=nlp)

    def _size_output(self) -> None:
        expected, got = self.n_outputs, self.model.get_ref("output_layer").maybe_get_dim("nO")
        if got not in (None, expected):
            names = ", ".join(self.labels)
            raise PTuningError(Errors.P404.format(name=self.name, got=got, labels=names, expected=expected))

    def _loss_of(self, gold: list[int | None], scores: list[Floats2d]) -> tuple[float, list[Floats2d]]:
        return cross_entropy(self.model.ops.xp, gold, scores)

    def _count(self, gold: list[int | None], chance: ChanceLoss) -> None:
        chance.add(output for output in gold if output is not None)

    def _unknown_label(self, label: str) -> PTuningError:
        """Return the error for a gold label that is none of the labels."""
        known = ", ".join(self.labels) or "none"
        return PTuningError(Errors.P401.format(label=label, name=self.name, labels=known))

    def check_cfg(self, cfg: dict[str, Any], where: str) -> None:
        """Refuse settings that `to_disk` never wrote.

        RAISES (FormatError): P641.
        """
        labels = cfg.get("labels")
        is_list = isinstance(labels, list) and all(isinstance(label, str) and label for label in labels)
        if not is_list or len(set(labels or ())) != len(labels or ()):
            raise FormatError(Errors.P641.format(path=where, field="labels", expected="different names", got=labels))
        super().check_cfg(cfg, where)
