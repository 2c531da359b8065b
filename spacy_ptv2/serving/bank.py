"""A bank of adapters: one backbone and many tasks, loaded and unloaded by name in a running process.

In: a stream of texts, each with its task, from any number of threads. Out: Docs in the same order. The tasks of a batch
share passes of the backbone (`task.py`). The table of tasks is replaced, never changed, so that a reader keeps the
tasks it started with and needs no lock.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, overload

from spacy.language import Language
from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..backbones.registry import get_backbone
from ..backbones.source import BackboneSource
from ..errors import Errors, PTuningError, TaskError
from ..pipeline.batching import MAX_BUFFERED_TOKENS, batch_by_tokens
from .info import BankInfo, backbone_bytes
from .loading import SharedVocabularies
from .task import Seconds, Task, annotate_jointly

ContextT = TypeVar("ContextT")


class _Asked(NamedTuple):
    doc: Doc
    task: Task
    context: Any

    @property
    def n_vectors(self) -> int:
        """How many token vectors its passes produce."""
        return len(self.doc) * max(1, len(self.task.layers))


class AdapterBank:
    """Tasks over one backbone. Thread-safe.

    backbone (str | BackboneSource): A hub id or a folder, or the full settings.
    RAISES (BackboneError): P101-P113.
    """

    def __init__(self, backbone: str | BackboneSource) -> None:
        self.backbone = get_backbone(BackboneSource(backbone) if isinstance(backbone, str) else backbone)
        # This sets up the tokenizer, which several threads may not do at once ("Already borrowed").
        _ = self.backbone.special_pieces
        self._tasks: Mapping[str, Task] = {}
        self._changing = threading.Lock()
        self._vocabularies = SharedVocabularies()
        self._loading = threading.Lock()  # spaCy changes the process's warning filters while it loads

    def load(self, name: str, pipeline: str | Path | Language, *, replace: bool = False) -> None:
        """Load a pipeline as a task. Calls of `pipe` that are already running do not see it.

        pipeline (str | Path | Language): An installed package, a folder, or a pipeline, which is copied.
        replace (bool): Whether to replace a task of that name, which stays available until the new one is loaded.
        RAISES (PTuningError): P711, P712, P714-P716.
        """
        if not isinstance(name, str) or not name or name != name.strip():
            raise PTuningError(Errors.P712.format(got=name))
        self._check_free(name, replace)
        with self._loading:
            task = Task(name, self._vocabularies.load(pipeline), self.backbone)
        with self._changing:
            self._check_free(name, replace)
            self._tasks = {**self._tasks, name: task}

    def unload(self, name: str) -> None:
        """Remove a task. Calls of `pipe` that are already running keep it. RAISES (TaskError): P713."""
        with self._changing:
            _find(self._tasks, name)
            self._tasks = {other: task for other, task in self._tasks.items() if other != name}

    @property
    def names(self) -> tuple[str, ...]:
        """The tasks, in the order of loading."""
        return tuple(self._tasks)

    def __contains__(self, name: object) -> bool:
        return name in self._tasks

    def __len__(self) -> int:
        return len(self._tasks)

    def vocab(self, task: str) -> Vocab:
        """Return the vocabulary with which to make Docs for a task. RAISES (TaskError): P713."""
        return _find(self._tasks, task).nlp.vocab

    def make_doc(self, text: str, task: str) -> Doc:
        """Return a text as a Doc of a task, tokenised by its pipeline and not annotated, to add what it is asked.

        RAISES (TaskError): P713.
        """
        return _find(self._tasks, task).make_doc(text)

    def info(self) -> BankInfo:
        """Return what is loaded and the memory that it takes."""
        source, fingerprint = self.backbone.source, self.backbone.fingerprint
        tasks = {name: task.info for name, task in self._tasks.items()}
        return BankInfo(source.name, fingerprint, backbone_bytes(self.backbone), tasks)

    def __call__(self, text: str | Doc, task: str) -> Doc:
        """Annotate one text as its pipeline alone would. RAISES (PTuningError): P713, P717, P718."""
        found = _ask(self._tasks, (text, task), None)
        return found.task.call(found.doc)

    @overload
    def pipe(
        self, stream: Iterable[tuple[str | Doc, str]], *, batch_size: int = ..., as_tuples: Literal[False] = ...
    ) -> Iterator[Doc]: ...

    @overload
    def pipe(
        self,
        stream: Iterable[tuple[tuple[str | Doc, str], ContextT]],
        *,
        batch_size: int = ...,
        as_tuples: Literal[True],
    ) -> Iterator[tuple[Doc, ContextT]]: ...

    def pipe(
        self, stream: Iterable[tuple[Any, Any]], *, batch_size: int = 128, as_tuples: bool = False
    ) -> Iterator[Doc] | Iterator[tuple[Doc, Any]]:
        """Annotate a stream of (text or Doc, task) in order, each with its task as it is at the time of the call.

        batch_size (int): Most Docs of all tasks together in a batch; one with many tokens ends sooner.
        as_tuples (bool): Take ((text or Doc, task), context) and yield (Doc, context).
        A Doc that its pipeline's error handler drops is missing from the results; by default errors are raised.
        RAISES (PTuningError): P713, P717, P718, once the stream gets there.
        """
        tasks = self._tasks
        pairs = stream if as_tuples else ((item, None) for item in stream)
        return _annotate((_ask(tasks, *_pair(pair)) for pair in pairs), batch_size, as_tuples)

    def timed(self, batch: Iterable[tuple[str | Doc, str]]) -> tuple[list[Doc | None], Seconds]:
        """Annotate a few (text or Doc, task) as one batch, and measure.

        RETURNS (tuple): The Docs in order, None for one that its pipeline's error handler dropped; and the seconds
            that the common passes and each task took.
        RAISES (PTuningError): P713, P717, P718.
        """
        asked = [_ask(self._tasks, item, None) for item in batch]
        return annotate_jointly([(own.doc, own.task) for own in asked])

    def _check_free(self, name: str, replace: bool) -> None:
        if name in self._tasks and not replace:
            raise PTuningError(Errors.P711.format(name=name))


def _annotate(stream: Iterable[_Asked], batch_size: int, as_tuples: bool) -> Iterator[Any]:
    for batch in batch_by_tokens(stream, batch_size, MAX_BUFFERED_TOKENS, n_tokens=lambda asked: asked.n_vectors):
        docs, _ = annotate_jointly([(asked.doc, asked.task) for asked in batch])
        for asked, doc in zip(batch, docs, strict=True):
            if doc is not None:
                yield (doc, asked.context) if as_tuples else doc


def _ask(tasks: Mapping[str, Task], item: Any, context: Any) -> _Asked:
    text, name = _pair(item)
    if not isinstance(text, (str, Doc)):
        raise PTuningError(Errors.P717.format(got=item))
    task = _find(tasks, name)
    return _Asked(task.make_doc(text), task, context)


def _pair(item: Any) -> tuple[Any, Any]:
    if not isinstance(item, tuple) or len(item) != 2:
        raise PTuningError(Errors.P717.format(got=item))
    return item


def _find(tasks: Mapping[str, Task], name: Any) -> Task:
    task = tasks.get(name) if isinstance(name, str) else None
    if task is None:
        raise TaskError(Errors.P713.format(name=name, known=", ".join(map(repr, tasks)) or "none"))
    return task
