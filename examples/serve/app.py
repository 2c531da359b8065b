"""A small HTTP service over a bank of prompts.

In: `POST /annotate` with texts and tasks. Out: entities with confidences, and tags. What is too much is refused before
anything is computed; a request more than the process may run at a time is told to come back. Every error is JSON.

SPACY_PTV2_SERVICE=service.json uvicorn --factory examples.serve.app:create_app --timeout-graceful-shutdown 10
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from spacy_ptv2.errors import TaskError
from spacy_ptv2.serving import AdapterBank
from spacy_ptv2.serving.annotations import to_json
from spacy_ptv2.serving.guards import RequestGuard, Workers, add_error_handlers, check_size
from spacy_ptv2.serving.limits import Limits

from .items import Item
from .settings import Settings, read_settings


def create_app(settings: Settings | None = None) -> FastAPI:
    """Load the bank and return the application. settings (Settings | None): None to read them (`settings.py`)."""
    settings = read_settings() if settings is None else settings
    limits = settings.limits
    bank = AdapterBank(settings.backbone)
    for name, pipeline in settings.tasks.items():
        bank.load(name, pipeline)
    workers = Workers(limits)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        workers.stop()

    app = FastAPI(title="spacy-ptv2", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.add_middleware(RequestGuard, most_bytes=limits.body_bytes, seconds=limits.seconds)
    add_endpoints(app, bank, workers, limits)
    add_error_handlers(app, "a list of {text, task}")
    add_task_errors(app, bank)
    return app


def add_endpoints(app: FastAPI, bank: AdapterBank, workers: Workers, limits: Limits) -> None:
    """Add what clients may ask for. What computes runs in threads of its own; the rest takes no time."""

    @app.post("/annotate")
    async def annotate(items: list[Item], request: Request) -> Response:
        check_size([item.text for item in items], limits)
        for task in {item.task for item in items}:
            bank.vocab(task)  # raises for one that is unknown
        deadline = request.scope["deadline"]

        def work() -> bytes:
            stream = workers.until(deadline, (((item.text, item.task), item.task) for item in items))
            answers = [to_json(doc, task) for doc, task in bank.pipe(stream, as_tuples=True)]
            return json.dumps(answers, ensure_ascii=False).encode("utf8")

        return Response(await workers.run(work, deadline), media_type="application/json")

    @app.get("/tasks")
    async def tasks() -> dict[str, Any]:
        return asdict(bank.info())

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "tasks": len(bank)}


def add_task_errors(app: FastAPI, bank: AdapterBank) -> None:
    """Answer a task that is unknown with those that are known."""

    @app.exception_handler(TaskError)
    async def unknown_task(request: Request, error: TaskError) -> JSONResponse:
        return JSONResponse({"error": str(error), "tasks": list(bank.names)}, 404)
