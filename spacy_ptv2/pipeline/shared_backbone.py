"""The component that runs the adapters of all later components in one pass of their backbone.

It finds every tok2vec with an adapter in the components after it, wherever that is: in a `ptuning_transformer`, or
inside spaCy's tagger or parser. Documents are tokenised and aligned once. The layers below the first prompt run once,
the others as one batch with a prompt per row. It works in training as well. Without it the components compute the same
results, one after the other.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from spacy.language import Language
from spacy.pipeline import Pipe
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Model, Optimizer

from ..bridge.training_pass import TrainingPass
from ..errors import Errors, PTuningError
from .batching import MAX_BUFFERED_TOKENS, batch_by_tokens
from .joint_reading import Request, begin_update_ahead, joint_layers, read_ahead


class SharedBackbone(Pipe):
    """Precomputes the hidden states that later components are about to need.

    nlp (Language): The pipeline that it is part of. name (str): Its name there.
    """

    def __init__(self, nlp: Language, name: str = "shared_backbone") -> None:
        self._nlp = weakref.ref(nlp)
        self.name = name
        self.model: Model[Any, Any] = Model("shared_backbone", _no_forward)  # for spaCy, which checks what trains
        self._steps: list[TrainingPass] = []

    @property
    def is_trainable(self) -> bool:
        """True, so that spaCy's training loop calls `finish_update`."""
        return True

    def __call__(self, doc: Doc) -> Doc:
        """Precompute for one Doc."""
        self._read_ahead([doc])
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Precompute for a stream, in batches of at most `batch_size` Docs and a bounded number of vectors."""
        max_tokens = MAX_BUFFERED_TOKENS // max(1, len(self._layers(set())))
        for docs in batch_by_tokens(stream, batch_size, max_tokens):
            self._read_ahead(docs)
            yield from docs

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Run the forward pass of a training step for every later component that is not frozen."""
        self._finish_steps()
        docs = [example.predicted for example in examples]
        frozen = set(self._pipeline(docs).config["training"]["frozen_components"])
        self._steps = begin_update_ahead([Request(layer, docs) for layer in self._layers(frozen)])
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)  # spaCy's table has a column for each component that trains
        return losses

    def finish_update(self, sgd: Optimizer) -> None:
        """Run the backward pass if some components computed by themselves after all, as on filtered examples.

        In `nlp.update(..., sgd=optimizer)` this is called before any of them has a gradient, and does nothing.
        """
        for step in self._steps:
            step.finish()

    def initialize(self, get_examples: Callable[[], Iterable[Example]], *, nlp: Language | None = None) -> None:
        """Do nothing: there is nothing to train here."""

    def _finish_steps(self) -> None:
        for step in self._steps:
            step.finish()
        self._steps = []

    def _read_ahead(self, docs: list[Doc]) -> None:
        self._pipeline(docs)
        read_ahead([Request(layer, docs) for layer in self._layers(set())])

    def _layers(self, frozen: set[str]) -> list[Model[Any, Any]]:
        nlp = self._pipeline([])
        behind = nlp.pipeline[nlp.pipe_names.index(self.name) + 1 :] if self.name in nlp.pipe_names else []
        return joint_layers(getattr(pipe, "model", None) for name, pipe in behind if name not in frozen)

    def _pipeline(self, docs: list[Doc]) -> Language:
        nlp = self._nlp()
        if nlp is None or any(doc.vocab is not nlp.vocab for doc in docs):
            raise PTuningError(Errors.P701.format(name=self.name))
        return nlp

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or a worker process needs."""
        return {"nlp": self._nlp(), "name": self.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what `__getstate__` returned."""
        self.__init__(state["nlp"], state["name"])  # type: ignore[misc]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by name and pipeline. The pipeline may contain this very object, so both are passed as state."""
        return SharedBackbone.__new__, (SharedBackbone,), self.__getstate__()


def names_of_shared_backbones(nlp: Language) -> list[str]:
    """Return the names of these components, for code that precomputes itself."""
    return [name for name, pipe in nlp.pipeline if isinstance(pipe, SharedBackbone)]


def _no_forward(model: Model[Any, Any], X: Any, is_train: bool) -> tuple[Any, Callable[[Any], Any]]:
    return X, lambda dY: dY
