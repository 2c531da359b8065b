"""A bank of adapters: one backbone and many tasks, loaded and unloaded by name in a running process.

In: a stream of texts, each with its task, from any number of threads. Out: Docs in the same order. The tasks of a batch
share passes of the backbone (`task.py`). The table of tasks is replaced, never changed, so that a reader keeps the
tasks it started with and needs no lock. Tasks of a store (`store.py`) are loaded when they are first asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, overload

from spacy.language import Language
from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..backbones.registry import get_backbone
from ..backbones.source import BackboneSource
from ..errors import Errors, PTuningError, TaskError
from ..pipeline.batching import MAX_BUFFERED_TOKENS, batch_by_tokens
from .info import BankInfo, BankStatus, backbone_bytes
from .loading import SharedVocabularies
from .store import Store, StoredTasks
from .task import Seconds, Task, annotate_jointly

ContextT = TypeVar("ContextT")
Name = str | None  # of a task; None for a text that no task is asked about
Question = tuple[str | Doc, Name]

MEGABYTE = 10**6
MOST_NAMED = 20  # tasks in an error


class _Asked(NamedTuple):
    doc: Doc
    task: Task | None
    context: Any

    @property
    def n_vectors(self) -> int:
        """How many token vectors its passes produce."""
        return len(self.doc) * max(1, len(self.task.layers) if self.task is not None else 0)


class AdapterBank:
    """Tasks over one backbone. Thread-safe.

    backbone (str | BackboneSource): A hub id or a folder, or the full settings.
    store (str | Path | None): A folder of saved pipelines, each a task by the name of its folder.
    limit_mb (float | None): Most megabytes of the store's tasks in memory (`Task.n_bytes`). The least recently used
        ones leave. None for no limit.
    lang (str): The language of texts without a task, whose tokenizer they get.
    RAISES (BackboneError): P101-P113. RAISES (PTuningError): P730, P731.
    """

    def __init__(
        self,
        backbone: str | BackboneSource,
        *,
        store: str | Path | None = None,
        limit_mb: float | None = None,
        lang: str = "xx",
    ) -> None:
        if limit_mb is not None and (store is None or not limit_mb > 0):
            raise PTuningError(Errors.P731.format(got=limit_mb, store=store))
        self._stored: StoredTasks | None = None
        if store is not None:
            limit = None if limit_mb is None else int(limit_mb * MEGABYTE)
            self._stored = StoredTasks(Store(store), limit, self._load)
        self.backbone = get_backbone(BackboneSource(backbone) if isinstance(backbone, str) else backbone)
        # This sets up the tokenizer, which several threads may not do at once ("Already borrowed").
        _ = self.backbone.special_pieces
        self._tasks: Mapping[str, Task] = {}
        self._changing = threading.Lock()
        self._vocabularies = SharedVocabularies()
        self._loading = threading.Lock()  # spaCy changes the process's warning filters while it loads
        self._blank = self._vocabularies.blank(lang)

    def load(self, name: str, pipeline: str | Path | Language, *, replace: bool = False) -> None:
        """Load a pipeline as a task. Calls of `pipe` that are already running do not see it.

        pipeline (str | Path | Language): An installed package, a folder, or a pipeline, which is copied.
        replace (bool): Whether to replace a task of that name, which stays available until the new one is loaded.
        RAISES (PTuningError): P711, P712, P714-P716.
        """
        if not isinstance(name, str) or not name or name != name.strip():
            raise PTuningError(Errors.P712.format(got=name))
        self._check_free(name, replace)
        task = self._load(name, pipeline)
        with self._changing:
            self._check_free(name, replace)
            self._tasks = {**self._tasks, name: task}

    def unload(self, name: str) -> None:
        """Remove a task, or all whose names match a pattern. Calls that are already running keep them.

        Those of a store are loaded again when they are next asked for.

        name (str): A name, or a pattern as of file names: `news-*`. RAISES (TaskError): P713 if no loaded task has it.
        """
        with self._changing:
            gone = set(_matching(self._loaded(), name))
            if not gone:
                raise self._unknown(name)
            self._tasks = {other: task for other, task in self._tasks.items() if other not in gone}
        if self._stored is not None:
            self._stored.remove(gone)

    @property
    def names(self) -> tuple[str, ...]:
        """The tasks in memory, in the order of loading, those of the store last."""
        return tuple(self._loaded())

    def find(self, pattern: str = "*") -> tuple[str, ...]:
        """Return the tasks that can be asked about, in memory or in the store, whose names match a pattern."""
        stored = () if self._stored is None else self._stored.store.names(pattern)
        return tuple(dict.fromkeys([*_matching(self._loaded(), pattern), *stored]))

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        return name in self._tasks or (self._stored is not None and name in self._stored)

    def __len__(self) -> int:
        return len(self._loaded())

    def check(self, name: str) -> None:
        """Return if a task can be asked about, without loading it. RAISES (TaskError): P713 if not."""
        if name not in self:
            raise self._unknown(name)

    def vocab(self, task: str) -> Vocab:
        """Return the vocabulary with which to make Docs for a task. RAISES (TaskError): P713."""
        return self._find(self._tasks, task).nlp.vocab

    def make_doc(self, text: str, task: str) -> Doc:
        """Return a text as a Doc of a task, tokenised by its pipeline and not annotated, to add what it is asked.

        RAISES (TaskError): P713.
        """
        return self._find(self._tasks, task).make_doc(text)

    def info(self) -> BankInfo:
        """Return what is loaded and the memory that it takes."""
        source, fingerprint = self.backbone.source, self.backbone.fingerprint
        tasks = {name: task.info for name, task in self._loaded().items()}
        return BankInfo(source.name, fingerprint, backbone_bytes(self.backbone), tasks)

    def status(self, pattern: str = "*") -> BankStatus:
        """Return the tasks in memory whose names match a pattern, with their use, and the use of the store."""
        loaded = self._loaded()
        tasks = {name: loaded[name].status() for name in _matching(loaded, pattern)}
        return BankStatus(tasks, None if self._stored is None else self._stored.use())

    def __call__(self, text: str | Doc, task: Name) -> Doc:
        """Annotate one text as its pipeline alone would. RAISES (PTuningError): P713, P717, P718."""
        asked = self._ask(self._tasks, (text, task), None)
        return asked.doc if asked.task is None else asked.task.call(asked.doc)

    @overload
    def pipe(
        self, stream: Iterable[Question], *, batch_size: int = ..., as_tuples: Literal[False] = ...
    ) -> Iterator[Doc]: ...

    @overload
    def pipe(
        self,
        stream: Iterable[tuple[Question, ContextT]],
        *,
        batch_size: int = ...,
        as_tuples: Literal[True],
    ) -> Iterator[tuple[Doc, ContextT]]: ...

    def pipe(
        self, stream: Iterable[tuple[Any, Any]], *, batch_size: int = 128, as_tuples: bool = False
    ) -> Iterator[Doc] | Iterator[tuple[Doc, Any]]:
        """Annotate a stream of (text or Doc, task) in order, each with its task as it is at the time of the call.

        A task of the store is as it is when the stream gets to the text. With None as its task, a text is tokenised and
        not annotated.

        batch_size (int): Most Docs of all tasks together in a batch; one with many tokens ends sooner.
        as_tuples (bool): Take ((text or Doc, task), context) and yield (Doc, context).
        A Doc that its pipeline's error handler drops is missing from the results; by default errors are raised.
        RAISES (PTuningError): P713, P717, P718, P732, once the stream gets there.
        """
        tasks = self._tasks
        pairs = stream if as_tuples else ((item, None) for item in stream)
        return _annotate((self._ask(tasks, *_pair(pair)) for pair in pairs), batch_size, as_tuples)

    def timed(self, batch: Iterable[Question]) -> tuple[list[Doc | None], Seconds]:
        """Annotate a few (text or Doc, task) as one batch, and measure.

        RETURNS (tuple): The Docs in order, None for one that its pipeline's error handler dropped; and the seconds
            that the common passes and each task took.
        RAISES (PTuningError): P713, P717, P718.
        """
        asked = [self._ask(self._tasks, item, None) for item in batch]
        return annotate_jointly([(own.doc, own.task) for own in asked])

    def _load(self, name: str, pipeline: str | Path | Language) -> Task:
        with self._loading:
            return Task(name, self._vocabularies.load(pipeline), self.backbone)

    def _loaded(self) -> dict[str, Task]:
        """Return the tasks in memory; of two with the same name, that which `load` loaded."""
        stored = {} if self._stored is None else self._stored.tasks
        return {**self._tasks, **{name: task for name, task in stored.items() if name not in self._tasks}}

    def _check_free(self, name: str, replace: bool) -> None:
        if name in self._tasks and not replace:
            raise PTuningError(Errors.P711.format(name=name))

    def _ask(self, tasks: Mapping[str, Task], item: Any, context: Any) -> _Asked:
        text, name = _pair(item)
        if not isinstance(text, (str, Doc)):
            raise PTuningError(Errors.P717.format(got=item))
        if name is None:
            return _Asked(self._blank.make_doc(text) if isinstance(text, str) else text, None, context)
        task = self._find(tasks, name)
        task.note_use()
        return _Asked(task.make_doc(text), task, context)

    def _find(self, tasks: Mapping[str, Task], name: Any) -> Task:
        """Return a task, of the store if it is none of some others."""
        task = tasks.get(name) if isinstance(name, str) else None
        if task is None and isinstance(name, str) and self._stored is not None:
            task = self._stored.get(name)
        if task is None:
            raise self._unknown(name)
        return task

    def _unknown(self, name: Any) -> TaskError:
        names = [repr(known) for known in self._loaded()]
        named = [*names[:MOST_NAMED], *(["..."] if len(names) > MOST_NAMED else [])]
        stored = [] if self._stored is None else ["those of the store"]
        return TaskError(Errors.P713.format(name=name, known=", ".join(named + stored) or "none"))


def _annotate(stream: Iterable[_Asked], batch_size: int, as_tuples: bool) -> Iterator[Any]:
    for batch in batch_by_tokens(stream, batch_size, MAX_BUFFERED_TOKENS, n_tokens=lambda asked: asked.n_vectors):
        docs, _ = annotate_jointly([(asked.doc, asked.task) for asked in batch])
        for asked, doc in zip(batch, docs, strict=True):
            if doc is not None:
                yield (doc, asked.context) if as_tuples else doc


def _pair(item: Any) -> tuple[Any, Any]:
    if not isinstance(item, tuple) or len(item) != 2:
        raise PTuningError(Errors.P717.format(got=item))
    return item


def _matching(names: Iterable[str], pattern: str) -> list[str]:
    """Return a name that is in the pattern's very words, else those that match it as file names do."""
    given = list(names)
    if pattern in given or not isinstance(pattern, str):
        return [pattern] if pattern in given else []
    return [name for name in given if fnmatchcase(name, pattern)]
