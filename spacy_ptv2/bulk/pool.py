"""Worker processes, each with a thread here that gives it shards and hears how they went.

In: a job and shards. Out: the outcome of each shard, as they come. Every worker has a pipe of its own, so that one that
is killed is noticed by its end and keeps no lock that others wait for; its shard is given to a new one, a few times.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from ..errors import Errors, PTuningError
from .shards import Shard
from .work import Job, Outcome, Report, annotate_shard

TRIES = 3  # how often a shard is given to a worker, and a worker is started, if each is killed
PATIENCE = 1.0  # seconds between looks at the clock, while no worker says anything
TO_END = 10.0  # seconds that a worker has to end by itself
READY = "ready"


class Pool:
    """Processes that annotate shards. size (int): How many at a time."""

    def __init__(self, job: Job, size: int, report: Report) -> None:
        self._size, self._report = size, report
        self._left: deque[Shard] = deque()
        self._heard: SimpleQueue[Any] = SimpleQueue()
        self._workers = [_Worker(job, lambda *counts: self._heard.put(counts)) for _ in range(size)]

    def run(self, shards: Sequence[Shard]) -> Iterator[tuple[Shard, Outcome]]:
        """Annotate shards.

        RAISES (PTuningError): P828 if workers are killed before they are ready; why they cannot load the pipelines.
        """
        self._left.extend(shards)
        threads = [Thread(target=self._keep_busy, args=[worker], daemon=True) for worker in self._workers]
        try:
            for thread in threads:
                thread.start()
            for _ in shards:
                yield self._next_outcome()
            for worker in self._workers:
                worker.finish()
        finally:
            self._left.clear()
            for worker in self._workers:
                worker.kill()
            for thread in threads:
                thread.join()

    def _next_outcome(self) -> tuple[Shard, Outcome]:
        while True:
            try:
                heard = self._heard.get(timeout=PATIENCE)
            except Empty:
                heard = (0, 0)
            if isinstance(heard, BaseException):
                raise heard
            if isinstance(heard[0], Shard):
                return heard  # type: ignore[no-any-return]
            self._report(*heard)

    def _keep_busy(self, worker: _Worker) -> None:
        try:
            with suppress(IndexError):  # nothing is left
                while True:
                    shard = self._left.popleft()
                    self._heard.put((shard, worker.annotate(shard)))
        except BaseException as error:  # whatever it is, the one that waits has to know
            self._heard.put(error)


class _Worker:
    """A process that lives as long as there is work; after it is killed, another one."""

    def __init__(self, job: Job, report: Report) -> None:
        self._job, self._report = job, report
        self._process: Any = None
        self._pipe: Connection | None = None
        self._is_stopped = False

    def annotate(self, shard: Shard) -> Outcome:
        """Return the outcome of a shard, "failed" if every process was killed over it. RAISES: As `Pool.run`."""
        for _ in range(TRIES):
            pipe = self._pipe or self._start()
            try:
                pipe.send(shard)
                return self._listen(pipe)
            except (EOFError, OSError):
                how = self._bury()
        return Outcome("failed", message=Errors.P827.format(shard=shard.name, n=TRIES, how=how))

    def finish(self) -> None:
        """Let an idle process end, if it does so soon."""
        if self._pipe is not None:
            self._pipe.close()
            self._process.join(TO_END)

    def kill(self) -> None:
        """Stop for good; whoever listens to the process finds it dead."""
        self._is_stopped = True
        if self._process is not None:
            self._process.kill()

    def _start(self) -> Connection:
        """Start a process, and return the pipe to it once it has loaded the pipelines."""
        spawn = multiprocessing.get_context("spawn")  # a fork would inherit torch's locks without its threads
        for _ in range(TRIES):
            pipe, theirs = spawn.Pipe()
            self._process = spawn.Process(target=_work, args=[theirs, self._job], daemon=True)
            self._process.start()
            theirs.close()  # or the end of the process would not be the end of the pipe
            if self._is_stopped:
                self._process.kill()
            try:
                problem = pipe.recv()
            except (EOFError, OSError):
                how = self._bury()
                continue
            if problem != READY:
                raise PTuningError(problem)
            self._pipe = pipe
            return pipe
        raise PTuningError(Errors.P828.format(n=TRIES, how=how))

    def _listen(self, pipe: Connection) -> Outcome:
        while not isinstance(heard := pipe.recv(), Outcome):
            self._report(*heard)
        return heard

    def _bury(self) -> str:
        """Return how the process ended."""
        self._process.join()
        self._pipe = None
        code = self._process.exitcode
        return f"by the signal {signal.Signals(-code).name}" if code < 0 else f"with the exit code {code}"


def _work(pipe: Connection, job: Job) -> None:
    """Annotate the shards that come through a pipe, until its other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches all processes; the first one decides
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        pipe.send(_load(job) or READY)
        while True:
            shard = pipe.recv()
            pipe.send(annotate_shard(job, shard, lambda *counts: pipe.send(counts)))


def _load(job: Job) -> str | None:
    """Load the pipelines. RETURNS (str | None): Why that failed."""
    try:
        job.load()
    except PTuningError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None
