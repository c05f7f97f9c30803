"""How many requests with signals run at once, and how many of them may be whose.

A request is let in, or told to come again, before its body is read: whoever sends slowly, or much
at once, holds only places of their own. The rule is that of the inbox (``engine.room``): nobody may
hold more places than are still free. One sender alone gets half of them, two a third each; and for
somebody new there is always one. People's acts take no place.

``Gate`` says so before anything else is done with a request whose sender is known from a moment
ago: to refuse must cost less than to send, or a flood would win by what we say to it. And it takes
its time to say so, which costs us nothing: a connection that waits for its refusal sends no more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec
from fastapi import FastAPI, Request

from tocsin.store import access
from tocsin.web.context import Context, context_of
from tocsin.web.door import door_of
from tocsin.web.errors import Problem
from tocsin.web.guard import address_of, caller_of
from tocsin.web.wrapping import SAFE_HEADERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

PLACES: Final = 128
RETRY_AFTER_S: Final = 5
REFUSED_AFTER_S: Final = 0.25
_BUSY: Final = "Too many requests of this sender are under way."
_RECEIVER: Final = "/api/v2/alerts"
_PATH_PREFIX: Final = "/in/"
_BEARER: Final = b"bearer "


class Admission:
    """The places of one process, and who holds them."""

    def __init__(self, places: int = PLACES) -> None:
        self._held: Counter[str] = Counter()
        self._free = places

    def has_place(self, sender: str) -> bool:
        """Say whether one more request of this sender is let in."""
        held = self._held.get(sender, 0)
        return not held or held < self._free

    @contextlib.contextmanager
    def place(self, sender: str) -> Iterator[bool]:
        """Hold a place for as long as the context lasts; False says that there is none."""
        if not self.has_place(sender):
            yield False
            return
        self._held[sender] += 1
        self._free -= 1
        try:
            yield True
        finally:
            self._free += 1
            self._held[sender] -= 1
            if not self._held[sender]:
                del self._held[sender]


def admission_of(app: FastAPI) -> Admission:
    """Return the places of an application, made on first use."""
    found: Admission | None = getattr(app.state, "admission", None)
    if found is None:
        found = app.state.admission = Admission()
    return found


@contextlib.contextmanager
def admitted(request: Request) -> Iterator[None]:
    """Hold a place for a request with signals, or raise Problem 503 at once.

    Never 429: of the senders that we know most retry a 503 only.
    """
    sender = caller_of(request).name
    with admission_of(request.app).place(sender) as is_there:
        if not is_there:
            context_of(request).instruments.refused(sender, "busy")
            raise come_again(_BUSY)
        yield


@contextlib.contextmanager
def tolerated(request: Request) -> Iterator[None]:
    """Hold a place for a body from somebody, or raise Problem 503 at once.

    Who has shown a credential takes none; all others share theirs by address, apart from signals.
    """
    if caller_of(request).kind != "anonymous":
        yield
        return
    found: Admission | None = getattr(request.app.state, "strangers", None)
    if found is None:
        found = request.app.state.strangers = Admission()
    with found.place(address_of(request)) as is_there:
        if not is_there:
            raise come_again("Too many requests from your address are under way.")
        yield


def come_again(why: str) -> Problem:
    """Return the answer that makes a sender send the same again a little later."""
    return Problem(
        503,
        f"{why} Nothing of this one was stored.",
        f"Send it again in {RETRY_AFTER_S} s.",
        {"Retry-After": str(RETRY_AFTER_S)},
    )


class Gate:
    """Refuses what ``admitted`` would refuse, where the sender is remembered, and nothing else."""

    def __init__(self, app: ASGIApp, context: Context, home: FastAPI) -> None:
        self._app = app
        self._context = context
        self._admission = admission_of(home)
        self._home = home
        problem = come_again(_BUSY)
        self._body = msgspec.json.encode(problem.message)
        headers = {
            **SAFE_HEADERS,
            **(problem.headers or {}),
            "Content-Type": "application/json",
            "Content-Length": str(len(self._body)),
        }
        self._headers = [(k.lower().encode(), v.encode()) for k, v in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or tell it to come again."""
        sender = self._sender(scope)
        if not sender or self._admission.has_place(sender):
            await self._app(scope, receive, send)
            return
        self._context.instruments.refused(sender, "busy")
        await asyncio.sleep(REFUSED_AFTER_S)
        start = {"type": "http.response.start", "status": 503, "headers": self._headers}
        await send(start)
        await send({"type": "http.response.body", "body": self._body})

    def _sender(self, scope: Scope) -> str:
        """Return who sends alerts with a key that was good a moment ago, or ""."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return ""
        path: str = scope["path"]
        if not path.endswith(_RECEIVER):
            return ""
        if path.startswith(_PATH_PREFIX):
            secret = path[len(_PATH_PREFIX) : -len(_RECEIVER)]
        else:
            given = next((v for k, v in scope["headers"] if k == b"authorization"), b"")
            if given[: len(_BEARER)].lower() != _BEARER:
                return ""
            secret = given[len(_BEARER) :].decode("latin-1").strip()
        digest = access.digest(secret)
        _, grant = door_of(self._home).remembered.look(digest, self._context.clock.now())
        return grant.name if grant is not None else ""
