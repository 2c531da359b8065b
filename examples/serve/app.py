"""A small HTTP service over a bank of adapters.

In: `POST /annotate` with texts and tasks. Out: entities with confidences, and tags. What is too much is refused before
anything is computed; a request more than the process may run at a time is told to come back. Every error is JSON.
Where requests are gathered, those that run at the same time share batches.

SPACY_PTV2_SERVICE=service.json uvicorn --factory examples.serve.app:create_app --timeout-graceful-shutdown 10
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from spacy.tokens import Doc

from spacy_ptv2.errors import QueueError, TaskError
from spacy_ptv2.serving import AdapterBank, RequestQueue
from spacy_ptv2.serving.annotations import to_json
from spacy_ptv2.serving.guards import OutOfTimeError, RequestGuard, Workers, add_error_handlers, check_size
from spacy_ptv2.serving.limits import Limits

from .items import Item
from .metrics import CONTENT_TYPE, Metrics, RequestCounter
from .settings import Settings, read_settings

# From texts with their tasks and a deadline to Docs, each with the name of its task.
Annotate = Callable[[Sequence[Item], float], Iterator[tuple[Doc, str | None]]]


def create_app(settings: Settings | None = None) -> FastAPI:
    """Load the bank and return the application. settings (Settings | None): None to read them (`settings.py`)."""
    settings = read_settings() if settings is None else settings
    limits = settings.limits
    bank = AdapterBank(settings.backbone, store=settings.store, limit_mb=settings.limit_mb)
    for name, pipeline in settings.tasks.items():
        bank.load(name, pipeline)
    workers, metrics = Workers(limits), Metrics()
    queue = None if settings.gathering is None else RequestQueue(bank, **settings.gathering.model_dump())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        workers.stop()
        if queue is not None:
            queue.close(finish=False)

    app = FastAPI(title="spacy-ptv2", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.add_middleware(RequestGuard, most_bytes=limits.body_bytes, seconds=limits.seconds)
    app.add_middleware(RequestCounter, metrics=metrics)
    add_annotate(app, bank, workers, limits, each_alone(bank, workers) if queue is None else gathered(queue))
    add_views(app, bank, metrics)
    add_error_handlers(app, "a list of {text, task}")
    add_task_errors(app, bank)
    return app


def each_alone(bank: AdapterBank, workers: Workers) -> Annotate:
    """Return what annotates a request as a stream of its own."""

    def annotate(items: Sequence[Item], deadline: float) -> Iterator[tuple[Doc, str | None]]:
        stream = workers.until(deadline, (((item.text, item.task), item.task) for item in items))
        return bank.pipe(stream, as_tuples=True)

    return annotate


def gathered(queue: RequestQueue) -> Annotate:
    """Return what annotates the texts of a request together with those of others."""

    def annotate(items: Sequence[Item], deadline: float) -> Iterator[tuple[Doc, str | None]]:
        answers: list[Future[Doc | None]] = []
        try:
            answers.extend(queue.submit(item.text, item.task) for item in items)
            for item, answer in zip(items, answers, strict=True):
                doc = answer.result(max(0.0, deadline - time.monotonic()))
                if doc is not None:
                    yield doc, item.task
        except (FutureTimeoutError, CancelledError, QueueError):
            raise OutOfTimeError from None
        finally:
            for answer in answers:
                answer.cancel()

    return annotate


def add_annotate(app: FastAPI, bank: AdapterBank, workers: Workers, limits: Limits, annotate: Annotate) -> None:
    """Add what computes, in threads of its own."""

    @app.post("/annotate")
    async def answer(items: list[Item], request: Request) -> Response:
        check_size([item.text for item in items], limits)
        for task in {item.task for item in items if item.task is not None}:
            bank.check(task)
        deadline = request.scope["deadline"]

        def work() -> bytes:
            answers = [to_json(doc, task) for doc, task in annotate(items, deadline)]
            return json.dumps(answers, ensure_ascii=False).encode("utf8")

        return Response(await workers.run(work, deadline), media_type="application/json")


def add_views(app: FastAPI, bank: AdapterBank, metrics: Metrics) -> None:
    """Add what clients may ask about the service. It takes no time."""

    @app.get("/tasks")
    async def tasks() -> dict[str, Any]:
        return asdict(bank.info())

    @app.get("/status")
    async def status() -> dict[str, Any]:
        loaded, store = bank.status()
        return {
            "tasks": {name: asdict(task) for name, task in loaded.items()},
            "store": None if store is None else store._asdict(),
        }

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "tasks": len(bank)}

    @app.get("/metrics")
    async def count() -> Response:
        return Response(metrics.text(bank.status()), media_type=CONTENT_TYPE)


def add_task_errors(app: FastAPI, bank: AdapterBank) -> None:
    """Answer a task that is unknown with those that are known."""

    @app.exception_handler(TaskError)
    async def unknown_task(request: Request, error: TaskError) -> JSONResponse:
        return JSONResponse({"error": str(error), "tasks": list(bank.names)}, 404)
