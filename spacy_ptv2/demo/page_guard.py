"""What keeps other pages away from this one, and scripts out of it: a check of the host, and headers.

In: requests as they come. Out: a refusal (421) of those that a page of another name sent here by DNS rebinding, and
answers that allow the browser nothing but the files of this server.
"""

from __future__ import annotations

import ipaddress

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def is_loopback(host: str) -> bool:
    """Return whether a name or an address can only mean this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(header: str) -> str:
    """Return the name or the address in a Host header, without its port and brackets."""
    host, _, port = header.rpartition(":")
    return (host if host and port.isdecimal() else header).strip("[]").lower()


class PageGuard:
    """Middleware around the whole application.

    host (str): Where the server listens. If nobody but this machine reaches it, requests have to name this machine.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self.app = app
        self.is_local = is_loopback(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on and add the headers to its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        app = self.app
        if self.is_local and not is_loopback(host_of(Headers(scope=scope).get("host", ""))):
            app = JSONResponse({"error": "Open this page as http://127.0.0.1 or http://localhost."}, 421)
        await app(scope, receive, with_headers)
