"""What the service counts, in the text format of Prometheus: requests, their seconds, and the tasks of the bank.

In: requests as they are answered, and the status of the bank when it is asked for. Out: the body of `GET /metrics`.
https://prometheus.io/docs/instrumenting/exposition_formats
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import accumulate

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spacy_ptv2.serving import BankStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds
PATHS = ("/annotate", "/tasks", "/status", "/health", "/metrics")
PREFIX = "spacy_ptv2_"


class Metrics:
    """Counts requests by path and status, and their seconds. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._in_bucket = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0

    def note(self, path: str, status: int, seconds: float) -> None:
        """Count an answer. Only the seconds of annotations are kept."""
        known = path if path in PATHS else "other"  # clients may ask for anything
        with self._lock:
            self._requests[known, status] += 1
            if known == PATHS[0]:
                self._in_bucket[bisect_left(BOUNDS, seconds)] += 1
                self._seconds += seconds

    def text(self, status: BankStatus) -> str:
        """Return all metrics."""
        with self._lock:
            requests, in_bucket, seconds = dict(self._requests), list(self._in_bucket), self._seconds
        by_status = {f'path="{path}",status="{code}"': n for (path, code), n in sorted(requests.items())}
        errors = sum(n for (_, code), n in requests.items() if code >= 500)
        lines = [
            *_metric("requests_total", "counter", "Requests answered.", by_status),
            *_metric("errors_total", "counter", "Requests answered with a status from 500 up.", {"": errors}),
            *_histogram("annotate_seconds", "Seconds of a request to /annotate.", in_bucket, seconds),
            *_of_bank(status),
        ]
        return "\n".join(lines) + "\n"


def _of_bank(status: BankStatus) -> Iterator[str]:
    n_bytes = sum(task.n_bytes for task in status.tasks.values())
    yield from _metric("tasks_loaded", "gauge", "Tasks in memory.", {"": len(status.tasks)})
    yield from _metric("task_bytes", "gauge", "Bytes of the tasks in memory.", {"": n_bytes})
    store = status.store
    if store is not None:
        yield from _metric("store_bytes", "gauge", "Bytes of the store's tasks in memory.", {"": store.bytes})
        yield from _metric("store_hits_total", "counter", "Texts whose task was in memory.", {"": store.hits})
        yield from _metric("store_misses_total", "counter", "Tasks loaded from the store.", {"": store.misses})
        yield from _metric("store_failures_total", "counter", "Tasks that could not be loaded.", {"": store.failures})
        yield from _metric("store_evictions_total", "counter", "Tasks that left for others.", {"": store.evictions})
        seconds = {"": store.loading_seconds}
        yield from _metric("store_loading_seconds_total", "counter", "Seconds of loading tasks.", seconds)


def _metric(name: str, kind: str, about: str, values: Mapping[str, float]) -> Iterator[str]:
    """Yield the lines of a metric. values (Mapping[str, float]): By their labels."""
    yield f"# HELP {PREFIX}{name} {about}"
    yield f"# TYPE {PREFIX}{name} {kind}"
    for labels, value in values.items():
        yield f"{PREFIX}{name}{{{labels}}} {value}" if labels else f"{PREFIX}{name} {value}"


def _histogram(name: str, about: str, in_bucket: list[int], seconds: float) -> Iterator[str]:
    yield from _metric(name, "histogram", about, {})
    for bound, n in zip([*map(str, BOUNDS), "+Inf"], accumulate(in_bucket), strict=True):
        yield f'{PREFIX}{name}_bucket{{le="{bound}"}} {n}'
    yield f"{PREFIX}{name}_sum {seconds}"
    yield f"{PREFIX}{name}_count {sum(in_bucket)}"


class RequestCounter:
    """Middleware that notes each answer, from the first byte of its request to the last of its body."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application, and note how it answered; 500 if it did not."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            self.metrics.note(scope["path"], status, time.perf_counter() - start)
