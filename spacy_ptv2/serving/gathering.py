"""Single requests, gathered into batches of a bank: they share passes of the backbone although each comes alone.

In: a text and its task, from any number of threads. Out: a future for each, with the Doc or with the error of that very
text. One thread annotates. While it does, what comes meanwhile is the next batch, so that a batch is as large as the
load makes it; `wait_ms` lets the first of a batch wait for others even if nothing runs.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import monotonic

from spacy.tokens import Doc

from ..errors import Errors, PTuningError, QueueError
from .bank import AdapterBank, Name

WAIT_MS, BATCH_SIZE = 0.0, 32


@dataclass(frozen=True)
class _Request:
    text: str | Doc
    task: Name
    answer: Future[Doc | None] = field(default_factory=Future)
    since: float = field(default_factory=monotonic)


class RequestQueue:
    """A queue of single requests to a bank. Thread-safe; closes at the end of a `with` block.

    bank (AdapterBank): What annotates.
    wait_ms (float): How long the first request of a batch waits for others, in milliseconds.
    batch_size (int): Most requests in a batch; a full one does not wait.
    RAISES (PTuningError): P734.
    """

    def __init__(self, bank: AdapterBank, *, wait_ms: float = WAIT_MS, batch_size: int = BATCH_SIZE) -> None:
        if not wait_ms >= 0:
            raise PTuningError(Errors.P734.format(name="wait_ms", expected="to be 0 or more", got=wait_ms))
        if batch_size < 1:
            raise PTuningError(Errors.P734.format(name="batch_size", expected="to be 1 or more", got=batch_size))
        self._bank = bank
        self._seconds = wait_ms / 1000
        self._batch_size = batch_size
        self._waiting: deque[_Request] = deque()
        self._changed = threading.Condition()
        self._is_open = True
        self._thread = threading.Thread(target=self._run, name="gather", daemon=True)
        self._thread.start()

    def submit(self, text: str | Doc, task: Name) -> Future[Doc | None]:
        """Return the answer to come: a Doc, or None if the pipeline's error handler dropped it. It can be cancelled.

        RAISES (TaskError): P713. RAISES (QueueError): P733 once the queue is closed. What else is wrong with a text or
        its task, the future raises.
        """
        if task is not None:
            self._bank.check(task)
        request = _Request(text, task)
        with self._changed:
            if not self._is_open:
                raise QueueError(Errors.P733)
            self._waiting.append(request)
            self._changed.notify_all()
        return request.answer

    def __call__(self, text: str | Doc, task: Name) -> Doc | None:
        """Annotate one text, together with those of other threads. RAISES: As `submit`, and as the bank does."""
        return self.submit(text, task).result()

    def close(self, *, finish: bool = True) -> None:
        """Take no more requests, and return when the thread has ended.

        finish (bool): Answer those that wait. Otherwise they are cancelled, and only the batch that runs is answered.
        """
        with self._changed:
            self._is_open = False
            while self._waiting and not finish:
                self._waiting.popleft().answer.cancel()
            self._changed.notify_all()
        self._thread.join()

    def __enter__(self) -> RequestQueue:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.close(finish=kind is None)

    def _run(self) -> None:
        while taken := self._take():
            self._annotate([request for request in taken if request.answer.set_running_or_notify_cancel()])

    def _take(self) -> list[_Request]:
        """Return the next batch once it is full or has waited; nothing once the queue is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or not self._is_open)
            if self._waiting:
                left = self._waiting[0].since + self._seconds - monotonic()
                self._changed.wait_for(self._need_not_wait, max(0.0, left))
            return [self._waiting.popleft() for _ in range(min(self._batch_size, len(self._waiting)))]

    def _need_not_wait(self) -> bool:
        return len(self._waiting) >= self._batch_size or not self._is_open

    def _annotate(self, batch: list[_Request]) -> None:
        """Answer a batch. If it fails as a whole, each request is answered alone, with its own error if it has one."""
        stream = (((request.text, request.task), request.answer) for request in batch)
        try:
            for doc, answer in self._bank.pipe(stream, batch_size=self._batch_size, as_tuples=True):
                answer.set_result(doc)
        except Exception:  # of a component, which may raise anything
            for request in batch:
                if not request.answer.done():
                    self._annotate_alone(request)
        for request in batch:
            if not request.answer.done():
                request.answer.set_result(None)

    def _annotate_alone(self, request: _Request) -> None:
        try:
            (doc,) = self._bank.timed([(request.text, request.task)])[0]
        except Exception as error:
            request.answer.set_exception(error)
        else:
            request.answer.set_result(doc)
