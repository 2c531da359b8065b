"""A task of a bank: a pipeline, and those of its layers that can share a pass with other tasks.

In: Docs, each with its task. Out: the same Docs, annotated. All adapters run first, in as few passes of the backbone as
their settings allow. Then each pipeline runs over its own Docs with the precomputed hidden states.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic, perf_counter
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import Model

from ..alignment.layouts import DocLayout
from ..backbones.backbone import Backbone
from ..bridge.precomputed import Precomputed, tokenisation_of
from ..errors import Errors, PTuningError
from ..layers.listener import PTuningListener
from ..pipeline.joint_reading import Request, joint_layers, read_ahead
from ..pipeline.shared_backbone import names_of_shared_backbones
from ..serialization.models import adapter_shims
from .info import TaskInfo, TaskStatus, describe_backbone, describe_task

# What the Python objects of a component take in addition to its tensors (benchmarks/results/store.md).
COMPONENT_BYTES = 70_000


@dataclass
class Seconds:
    """How long a batch took: the common passes, and after them each task, by its name."""

    together: float = 0.0
    tasks: dict[str, float] = field(default_factory=dict)


class Task:
    """A pipeline over the backbone of a bank.

    name (str), nlp (Language): The task's name and its pipeline.
    layers (list[Model]): Those of its layers with an adapter that can share a pass with others.
    n_bytes (int): Of its tensors, and what its Python objects are reckoned at.
    last_use (float): When it was last asked about a text, as of `time.monotonic`.
    RAISES (PTuningError): P714 if the pipeline has no adapter, P715 if one is over another backbone.
    """

    def __init__(self, name: str, nlp: Language, backbone: Backbone) -> None:
        self.name = name
        self.nlp = nlp
        models = [getattr(pipe, "model", None) for _, pipe in nlp.pipeline]
        shims = [shim for model in models for shim in adapter_shims(model)]
        if not shims:
            raise PTuningError(Errors.P714.format(name=name, components=", ".join(nlp.pipe_names) or "none"))
        for other in (shim.backbone for shim in shims if shim.backbone is not backbone):
            got, expected = describe_backbone(other), describe_backbone(backbone)
            raise PTuningError(Errors.P715.format(name=name, got=got, expected=expected))
        self.info: TaskInfo = describe_task(name, nlp)
        self.layers = joint_layers(models)
        self._handovers = [shim.predicted for shim in shims] + _listening(models)
        self._spared = names_of_shared_backbones(nlp)
        self.n_bytes = self.info.adapter_bytes + self.info.head_bytes + COMPONENT_BYTES * len(nlp.components)
        self.last_use = monotonic()
        self._n_texts = 0
        self._counting = threading.Lock()

    def note_use(self) -> None:
        """Note that it was asked about a text."""
        with self._counting:
            self.last_use = monotonic()
            self._n_texts += 1

    def status(self) -> TaskStatus:
        """Return what it takes and how it is used."""
        with self._counting:
            return TaskStatus(self.n_bytes, self._n_texts, monotonic() - self.last_use)

    def make_doc(self, text: str | Doc) -> Doc:
        """Return a text as a Doc of this task, tokenised by its pipeline.

        RAISES (PTuningError): P718 if it is a Doc of another vocabulary.
        """
        if isinstance(text, str):
            return self.nlp.make_doc(text)
        if text.vocab is not self.nlp.vocab:
            raise PTuningError(Errors.P718.format(name=self.name))
        return text

    def call(self, doc: Doc) -> Doc:
        """Annotate one Doc as `nlp(doc)` does, with several adapters in one pass."""
        try:
            read_ahead([Request(layer, [doc]) for layer in self.layers])
            return self.nlp(doc, disable=self._spared)
        finally:
            self.forget([doc])

    def annotate(self, places: dict[Doc, list[int]]) -> list[tuple[Doc, list[int]]]:
        """Run the pipeline. Docs that its error handlers drop are missing from the result."""
        return list(self.nlp.pipe(places.items(), as_tuples=True, batch_size=len(places), disable=self._spared))

    def forget(self, docs: Sequence[Doc]) -> None:
        """Drop precomputed values that were not used for some Docs, as after an error."""
        for handover in self._handovers:
            handover.take(docs)


def annotate_jointly(asked: Sequence[tuple[Doc, Task | None]]) -> tuple[list[Doc | None], Seconds]:
    """Annotate the Docs and return them in order, and the time that it took. One without a task stays as it is.

    RETURNS (tuple): The Docs, None for one that its pipeline's error handler dropped; and the seconds.
    """
    by_task: dict[Task, dict[Doc, list[int]]] = {}
    done: list[Doc | None] = [None] * len(asked)
    for place, (doc, task) in enumerate(asked):
        if task is None:
            done[place] = doc
        else:
            by_task.setdefault(task, {}).setdefault(doc, []).append(place)
    start = perf_counter()
    try:
        read_ahead(_requests({task: list(docs) for task, docs in by_task.items()}))
        seconds = Seconds(perf_counter() - start)
        for task, docs in by_task.items():
            start = perf_counter()
            for doc, places in task.annotate(docs):
                for place in places:
                    done[place] = doc
            seconds.tasks[task.name] = perf_counter() - start
    finally:
        for task, docs in by_task.items():
            task.forget(list(docs))
    return done, seconds


def _requests(by_task: Mapping[Task, Sequence[Doc]]) -> list[Request]:
    """Return what is to be read. A text that several tasks were asked about is one Doc there.

    It is aligned once, and the layers below the first adapter run once over it.
    """
    first: dict[Hashable, Doc] = {}
    requests = []
    for task, docs in by_task.items():
        same = [first.setdefault((doc.text, tokenisation_of(doc)), doc) for doc in docs]
        for layer in task.layers:
            reads_words_alone = layer.attrs["windows"].layout == DocLayout()
            requests.append(Request(layer, same, docs) if reads_words_alone else Request(layer, docs))
    return requests


def _listening(models: Sequence[Model[Any, Any] | None]) -> list[Precomputed[Any]]:
    nodes = [node for model in models if model is not None for node in model.walk()]
    return [node.vectors for node in nodes if isinstance(node, PTuningListener)]
