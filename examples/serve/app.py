"""A small HTTP service over a bank of prompts.

In: `POST /annotate` with texts and tasks. Out: entities with confidences, and tags. What is too much is refused before
anything is computed; a request more than the process may run at a time is told to come back. Every error is JSON.

SPACY_PTV2_SERVICE=service.json uvicorn --factory examples.serve.app:create_app
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from threading import BoundedSemaphore
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spacy_ptv2.errors import TaskError
from spacy_ptv2.serving import PromptBank

from .annotations import Item, to_json
from .settings import Limits, Settings, read_settings

log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Load the bank and return the application. settings (Settings | None): None to read them (`settings.py`)."""
    settings = read_settings() if settings is None else settings
    bank = PromptBank(settings.backbone)
    for name, pipeline in settings.tasks.items():
        bank.load(name, pipeline)
    app = FastAPI(title="spacy-ptv2", docs_url=None, redoc_url=None)
    app.add_middleware(BodyLimit, most=settings.limits.body_bytes)
    add_endpoints(app, bank, settings.limits)
    add_error_handlers(app, bank)
    return app


def add_endpoints(app: FastAPI, bank: PromptBank, limits: Limits) -> None:
    """Add what clients may ask for. Plain functions run in the server's pool of threads."""
    free = BoundedSemaphore(limits.requests)

    @app.post("/annotate")
    def annotate(items: list[Item]) -> list[dict[str, Any]]:
        check_size(items, limits)
        if not free.acquire(blocking=False):
            raise HTTPException(503, f"{limits.requests} requests are running, no more at a time. Try again later.")
        try:
            stream = (((item.text, item.task), item.task) for item in items)
            return [to_json(doc, task) for doc, task in bank.pipe(stream, as_tuples=True)]
        finally:
            free.release()

    @app.get("/tasks")
    def tasks() -> dict[str, Any]:
        return asdict(bank.info())

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "tasks": len(bank)}


def check_size(items: list[Item], limits: Limits) -> None:
    """RAISES (HTTPException): 413 with what is too much, and how much is allowed."""
    lengths = [len(item.text) for item in items]
    for what, got, most in (
        ("texts", len(items), limits.texts),
        ("characters in a text", max(lengths, default=0), limits.characters_per_text),
        ("characters in all texts", sum(lengths), limits.characters),
    ):
        if got > most:
            raise HTTPException(413, f"Expected at most {most} {what}, got {got}.")


def add_error_handlers(app: FastAPI, bank: PromptBank) -> None:
    """Answer errors with JSON; what was not foreseen goes to the log, not to the client."""

    @app.exception_handler(AnyHTTPException)
    async def refused(request: Request, error: AnyHTTPException) -> JSONResponse:
        headers = {"Retry-After": "1"} if error.status_code == 503 else None
        return JSONResponse({"error": error.detail}, error.status_code, headers)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5]]
        return JSONResponse({"error": "Expected a list of {text, task}. " + "; ".join(problems)}, 422)

    @app.exception_handler(TaskError)
    async def unknown_task(request: Request, error: TaskError) -> JSONResponse:
        return JSONResponse({"error": str(error), "tasks": list(bank.names)}, 404)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return JSONResponse({"error": "The service failed on this request; its log says why."}, 500)


class BodyLimit:
    """Middleware that stops reading a request behind a number of bytes. most (int): How many."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application with a body that is counted while it is read. RAISES (HTTPException): 413."""
        n_bytes = 0

        async def counted() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > self.most:
                raise HTTPException(413, f"Expected a request of at most {self.most} bytes.")
            return message

        await self.app(scope, counted, send)
