"""A folder of saved pipelines, each a task by the name of its folder, and those of them that are in memory.

In: the name of a task, from any thread. Out: the task, loaded when it is first asked for. Beyond a limit in bytes, the
tasks that were not asked for the longest leave memory; calls that are running keep theirs. The table of tasks is
replaced, never changed, so that a reader needs no lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from time import perf_counter

from ..errors import Errors, PTuningError, StoredTaskError
from .blanks import CONFIG
from .info import StoreUse
from .task import Task

NO_PART_OF_A_NAME = frozenset("/\\\0")


class Store:
    """A folder of folders. folder (str | Path): Where they are. RAISES (PTuningError): P730 if it is no folder."""

    def __init__(self, folder: str | Path) -> None:
        if not Path(folder).is_dir():
            raise PTuningError(Errors.P730.format(path=folder))
        self.folder = Path(folder).resolve()

    def find(self, name: str) -> Path | None:
        """Return the folder of a task, None if there is none. No name leads out of the store, nor does a link."""
        if name != name.strip() or name in ("", ".", "..") or NO_PART_OF_A_NAME & set(name):
            return None
        try:
            folder = (self.folder / name).resolve()
            is_inside = self.folder in folder.parents
            return folder if is_inside and (folder / CONFIG).is_file() else None
        except (OSError, ValueError, RuntimeError):  # a name that no file can have, or links in a circle
            return None

    def names(self, pattern: str) -> tuple[str, ...]:
        """Return the names of the tasks, sorted. pattern (str): As of file names: `*`, `?`, `[abc]`."""
        names = sorted(path.name for path in self.folder.iterdir() if fnmatchcase(path.name, pattern))
        return tuple(name for name in names if self.find(name) is not None)


class StoredTasks:
    """The tasks of a store that are in memory. Thread-safe.

    store (Store), limit (int | None): Where tasks come from, and the most bytes of those in memory; None for no limit.
    load (Callable): Loads a task from its folder. It is called by one thread at a time.
    """

    def __init__(self, store: Store, limit: int | None, load: Callable[[str, Path], Task]) -> None:
        self.store = store
        self._limit = limit
        self._load = load
        self._loading = threading.Lock()
        self._counting = threading.Lock()
        self._use = StoreUse(limit)
        self.tasks: Mapping[str, Task] = {}

    def get(self, name: str) -> Task | None:
        """Return a task, loaded if need be; None if the store has none of that name.

        RAISES (StoredTaskError): P732 if it cannot be loaded, each time that it is asked for.
        """
        task = self.tasks.get(name)
        if task is not None:
            self._count(hits=1)
            return task
        folder = self.store.find(name)
        return None if folder is None else self._load_once(name, folder)

    def __contains__(self, name: str) -> bool:
        return name in self.tasks or self.store.find(name) is not None

    def remove(self, names: set[str]) -> None:
        """Let tasks leave memory; they are loaded again when they are next asked for."""
        with self._loading:
            self.tasks = {name: task for name, task in self.tasks.items() if name not in names}

    def use(self) -> StoreUse:
        """Return what was counted until now."""
        with self._counting:
            return self._use._replace(bytes=sum(task.n_bytes for task in self.tasks.values()))

    def _load_once(self, name: str, folder: Path) -> Task:
        with self._loading:
            task = self.tasks.get(name)
            if task is not None:  # by another thread meanwhile
                self._count(hits=1)
                return task
            start = perf_counter()
            try:
                task = self._load(name, folder)
            except Exception as error:  # a folder may hold anything
                self._count(failures=1)
                raise StoredTaskError(Errors.P732.format(name=name, path=folder, error=error)) from error
            n_evicted = self._add(task)
            self._count(misses=1, evictions=n_evicted, loading_seconds=perf_counter() - start)
        return task

    def _add(self, task: Task) -> int:
        """Take a task into the table, and out of it what is too much. RETURNS: How many left."""
        tasks = {**self.tasks, task.name: task}
        n_bytes = sum(own.n_bytes for own in tasks.values())
        if self._limit is not None and n_bytes > self._limit:
            for old in sorted(self.tasks.values(), key=lambda own: own.last_use):
                n_bytes -= tasks.pop(old.name).n_bytes
                if n_bytes <= self._limit:
                    break
        n_evicted = 1 + len(self.tasks) - len(tasks)
        self.tasks = tasks
        return n_evicted

    def _count(self, **more: float) -> None:
        with self._counting:
            self._use = self._use._replace(**{name: getattr(self._use, name) + more[name] for name in more})
