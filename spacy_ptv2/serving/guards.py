"""What keeps one request from taking the service away from all others: limits on its size, its time and its echo.

In: requests as they come. Out: refusals before anything is computed (408, 413), work that ends with its time (504), and
errors as JSON. Needs FastAPI, which the extra `serve` brings.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore, Event
from typing import TypeVar

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .limits import Limits

T = TypeVar("T")
log = logging.getLogger(__name__)

# No tokenizer of spaCy cuts so many letters off an end. Text without spaces, as in Chinese, is full of them.
WORD = re.compile(r"[^\W\d_]{5,}")
MOST_SHOWN = 100  # characters of a request in an error
CLOSE = {"Connection": "close"}  # after a request that was not read to its end


def shortened(text: str) -> str:
    """Return a text that may come from a client as an error may show it."""
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 3] + "..."


def check_size(texts: Sequence[str], limits: Limits) -> None:
    """RAISES (HTTPException): 413 with what is too much, and how much is allowed."""
    lengths = [len(text) for text in texts]
    for what, got, most in (
        ("texts", len(texts), limits.texts),
        ("characters in a text", max(lengths, default=0), limits.characters_per_text),
        ("characters in all texts", sum(lengths), limits.characters),
    ):
        if got > most:
            raise HTTPException(413, f"Expected at most {most} {what}, got {got}.")
    stretches = [stretch for text in texts for stretch in text.split()]
    work = sum(len(stretch) * _cuts(stretch) for stretch in stretches)
    if work > limits.tokenizer_work:
        raise HTTPException(
            413,
            "Expected shorter stretches without white space, or fewer marks at their ends: the products of both may "
            f"add up to {limits.tokenizer_work}, got {work}, the longest has {max(map(len, stretches))} characters.",
        )


def _cuts(stretch: str) -> int:
    """Return how many characters may be cut off the ends of a stretch: those outside its first and last word."""
    words = [found.span() for found in WORD.finditer(stretch)]
    return len(stretch) - (words[-1][1] - words[0][0] if words else 0)


class RequestGuard:
    """Middleware that stops reading a request after a number of bytes, and at its deadline.

    most_bytes (int), seconds (float): Of one request. The deadline, a time of `time.monotonic`, is in
    `scope["deadline"]` for whoever computes.
    """

    def __init__(self, app: ASGIApp, most_bytes: int, seconds: float) -> None:
        self.app = app
        self.most_bytes = most_bytes
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application with a body that is counted and timed while it is read.

        RAISES (HTTPException): 408, 413.
        """
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        deadline = scope["deadline"] = time.monotonic() + self.seconds
        n_bytes, is_read = 0, False

        async def guarded() -> Message:
            nonlocal n_bytes, is_read
            if is_read:  # what comes now is that the client has left, whenever that is
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(0.0, deadline - time.monotonic()))
            except asyncio.TimeoutError:
                problem = f"Expected the whole request within {self.seconds:g} seconds."
                raise HTTPException(408, problem, CLOSE) from None
            n_bytes += len(message.get("body", b""))
            is_read = not message.get("more_body", False)
            if n_bytes > self.most_bytes:
                raise HTTPException(413, f"Expected a request of at most {self.most_bytes} bytes.", CLOSE)
            return message

        await self.app(scope, guarded, send)


class OutOfTimeError(Exception):
    """The deadline of a request is over, or the service stops."""


class Workers:
    """Threads that compute, so that the server answers meanwhile. limits (Limits): How many, and how long."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._threads = ThreadPoolExecutor(limits.requests, thread_name_prefix="annotate")
        self._free = BoundedSemaphore(limits.requests)
        self._stopping = Event()

    async def run(self, work: Callable[[], T], deadline: float) -> T:
        """Return what a call returns. It keeps its place as long as it runs, also when nobody waits for it any more.

        RAISES (HTTPException): 503 if all threads are busy, 504 at the deadline.
        """
        if not self._free.acquire(blocking=False):
            problem = f"{self._limits.requests} requests are running, no more at a time. Try again later."
            raise HTTPException(503, problem, {"Retry-After": "1"})
        running = self._threads.submit(work)
        running.add_done_callback(lambda _: self._free.release())
        try:
            return await asyncio.wait_for(asyncio.wrap_future(running), max(0.0, deadline - time.monotonic()))
        except (asyncio.TimeoutError, OutOfTimeError):
            problem = f"The request was not done after {self._limits.seconds:g} seconds. Send fewer or shorter texts."
            raise HTTPException(504, problem) from None

    def until(self, deadline: float, stream: Iterable[T]) -> Iterator[T]:
        """Yield a stream as long as there is time. RAISES (OutOfTimeError): When it is over."""
        for item in stream:
            if time.monotonic() > deadline or self._stopping.is_set():
                raise OutOfTimeError
            yield item

    def stop(self) -> None:
        """Let what runs end at its next text."""
        self._stopping.set()
        self._threads.shutdown(wait=False, cancel_futures=True)


def add_error_handlers(app: FastAPI, expected: str) -> None:
    """Answer errors with JSON; what was not foreseen goes to the log, not to the client.

    expected (str): What a body has to be.
    """

    @app.exception_handler(AnyHTTPException)
    async def refused(request: Request, error: AnyHTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        problems = [f"{shortened('.'.join(map(str, e['loc'])))}: {shortened(e['msg'])}" for e in error.errors()[:5]]
        return JSONResponse({"error": f"Expected {expected}. " + "; ".join(problems)}, 422)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return JSONResponse({"error": "The service failed on this request; its log says why."}, 500)
