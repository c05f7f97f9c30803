"""What wraps every request: a cap on bodies, headers that keep browsers safe, one line of log.

Plain ASGI rather than Starlette's base class, which would buffer streams and cost a task a request.
"""

from __future__ import annotations

import re
from time import perf_counter
from typing import TYPE_CHECKING, Final

import structlog
from starlette.datastructures import MutableHeaders

from tocsin.web.bodies import too_long

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:;"
        " font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Where a handler says nothing of caching, what it answers is private.
    "Cache-Control": "no-store",
}

# Wherever it stands: a sender that mistakes the prefix must not put its key into the log.
_SECRET_PART = re.compile(r"(/+(?:in|ack|login)/+)[^/]+", re.IGNORECASE)
_PATH_CHARACTERS_MAX = 300


def masked(path: str) -> str:
    """Return a path that may be logged: what is secret in it reads ``***``."""
    return _SECRET_PART.sub(r"\1***", path)[:_PATH_CHARACTERS_MAX]


class BodyCap:
    """Refuses bodies over ``bytes_max`` with 413: at once by their header, else while reading."""

    def __init__(self, app: ASGIApp, bytes_max: int) -> None:
        self._app = app
        self._bytes_max = bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request with a receive that counts."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = next((v for k, v in scope["headers"] if k == b"content-length"), b"0")
        announces_more = announced.isdigit() and int(announced[:20]) > self._bytes_max
        read_bytes = 0

        async def counted() -> Message:
            nonlocal read_bytes
            if announces_more:
                raise too_long(self._bytes_max)
            message = await receive()
            read_bytes += len(message.get("body", b""))
            if read_bytes > self._bytes_max:
                raise too_long(self._bytes_max)
            return message

        await self._app(scope, counted, send)


class SafeHeaders:
    """Sets on every answer what tells a browser to load and believe nothing but ours."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request with a send that adds the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SAFE_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, dressed)


class AccessLog:
    """Writes one line a request: who, what, how it ended, how long it took.

    Query strings and headers are never written, and secret parts of a path are masked.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._log = structlog.get_logger("tocsin.access")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and log it, also when it breaks."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            client = scope.get("client")
            caller = scope.get("state", {}).get("caller")
            self._log.info(
                "request",
                method=scope["method"],
                path=masked(scope["path"]),
                status=status,
                ms=round((perf_counter() - began) * 1000, 1),
                client=client[0] if client else "",
                caller=caller.name if caller else "",
            )
