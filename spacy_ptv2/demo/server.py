"""The server of the page: what it needs, where it listens, how it runs.

In: an application and an address. Out: a socket that is bound before anything is promised, and a server on it.
"""

from __future__ import annotations

import socket
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..errors import Errors, PTuningError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

GRACE = 2  # seconds that running requests have when the server is stopped
MOST_AT_A_TIME = 64


def check_extra() -> None:
    """RAISES (PTuningError): P791 if a package of the extra `serve` is not installed."""
    missing = [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]
    if missing:
        raise PTuningError(Errors.P791.format(missing=" and ".join(missing)))


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. port (int): 0 for a free one. RAISES (PTuningError): P793."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError, UnicodeError) as error:
        raise PTuningError(Errors.P793.format(host=host, port=port, error=error)) from error


def address_of(listening: socket.socket) -> str:
    """Return the URL of the page."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(app: ASGIApp, listening: socket.socket) -> None:
    """Serve until the process is told to stop."""
    import uvicorn

    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=GRACE, limit_concurrency=MOST_AT_A_TIME)
    uvicorn.Server(config).run(sockets=[listening])
