"""The application behind the page: what there is, and annotations of what was typed.

In: `GET /about` and `POST /annotate`. Out: JSON. Texts are annotated one after the other, the newest of a page last; a
text whose page does not wait for it any more is skipped.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from ..serving import AdapterBank
from ..serving.guards import RequestGuard, Workers, add_error_handlers, check_size
from ..serving.limits import Limits
from .annotating import annotate
from .asking import Given
from .examples import examples_for
from .offers import Offer
from .page_guard import PageGuard

PAGE = Path(__file__).parent / "page"
LIMITS = Limits(requests=1)
GONE = 499  # what nobody reads: the status of a request whose client has left


def create_app(bank: AdapterBank, offers: Sequence[Offer], host: str, limits: Limits = LIMITS) -> ASGIApp:
    """Return the application over the tasks of a bank. host (str): Where it listens."""
    workers = Workers(limits)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        workers.stop()

    app = FastAPI(title="spacy-ptv2", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.add_middleware(RequestGuard, most_bytes=limits.body_bytes, seconds=limits.seconds)
    _add_endpoints(app, bank, offers, workers, limits)
    add_error_handlers(app, "a text, and what is asked of it")
    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return PageGuard(app, host)


def _add_endpoints(app: FastAPI, bank: AdapterBank, offers: Sequence[Offer], workers: Workers, limits: Limits) -> None:
    turn = asyncio.Lock()

    @app.get("/about")
    async def about() -> dict[str, Any]:
        return {
            "backbone": bank.info().backbone,
            "tasks": [asdict(offer) for offer in offers],
            "characters": limits.characters_per_text,
            "examples": examples_for(offers),
        }

    @app.post("/annotate")
    async def annotated(given: Given, request: Request) -> Response:
        check_size(given.texts, limits)
        async with turn:
            if await request.is_disconnected():
                return Response(status_code=GONE)
            answer = await workers.run(lambda: annotate(bank, offers, given), request.scope["deadline"])
        return Response(json.dumps(answer, ensure_ascii=False), media_type="application/json")
