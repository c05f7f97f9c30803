"""How many requests with signals run at once, and how many of them may be whose.

A request is given a place before its body is read: whoever sends slowly, or much at once, holds
only places of their own. The rule is that of the inbox (``engine.room``): nobody may hold more
places than are still free. One sender alone gets half of them, two a third each; and for somebody
new there is always one. People's acts take no place.

Who finds none stands in line behind their own earlier requests, for two seconds at most, and is
told to come again then. Prometheus forgets what it was refused until the next time round, a minute
later, so that a burst of one sender should wait rather than be turned away; and a flood is slowed
to what can be done of it, at the expense of nobody else.

``Gate`` does this for senders that are known from a moment ago before anything else is done with
the request, since what is refused should cost little. ``admitted`` does it for all others.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, OrderedDict, deque
from typing import TYPE_CHECKING, Final

import msgspec
from fastapi import FastAPI, Request

from tocsin.engine.room import Full
from tocsin.store import access
from tocsin.web.context import Context, context_of
from tocsin.web.door import door_of
from tocsin.web.errors import Problem
from tocsin.web.guard import address_of, caller_of
from tocsin.web.wrapping import SAFE_HEADERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp, Receive, Scope, Send

PLACES: Final = 64
WAIT_S_MAX: Final = 2.0
LINE_MAX: Final = 1_000
"""How many requests of one sender stand in line; who comes then is refused, if not at once."""
RETRY_AFTER_S: Final = 5
REFUSED_AFTER_S: Final = 0.5
_BUSY: Final = "Too many requests of this sender are under way."
_ADMITTED: Final = "is_admitted"
_RECEIVER: Final = "/api/v2/alerts"
_PATH_PREFIX: Final = "/in/"
_BEARER: Final = b"bearer "


class Admission:
    """The places of one process, who holds them, and who stands in line for one."""

    def __init__(
        self, places: int = PLACES, wait_s: float = WAIT_S_MAX, line_max: int = LINE_MAX
    ) -> None:
        self._wait_s = wait_s
        self._line_max = line_max
        self._held: Counter[str] = Counter()
        self._free = places
        self._lines: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @contextlib.asynccontextmanager
    async def place(self, sender: str) -> AsyncIterator[bool]:
        """Hold a place for as long as the context lasts; False says that there was none in time."""
        if not await self._take(sender):
            yield False
            return
        try:
            yield True
        finally:
            self._give_back(sender)

    async def _take(self, sender: str) -> bool:
        line = self._lines.get(sender)
        if not line and self._has_place(sender):
            self._hold(sender)
            return True
        if line is not None and len(line) >= self._line_max:
            await asyncio.sleep(min(REFUSED_AFTER_S, self._wait_s))
            return False
        called = asyncio.get_running_loop().create_future()
        self._lines.setdefault(sender, deque()).append(called)
        try:
            async with asyncio.timeout(self._wait_s):
                await called
        except TimeoutError:
            # Called in the last moment: then there is a place after all.
            return called.done() and not called.cancelled()
        except asyncio.CancelledError:
            if called.done() and not called.cancelled():
                self._give_back(sender)
            raise
        finally:
            self._leave(sender, called)
        return True

    def _has_place(self, sender: str) -> bool:
        held = self._held.get(sender, 0)
        return not held or held < self._free

    def _hold(self, sender: str) -> None:
        self._held[sender] += 1
        self._free -= 1

    def _give_back(self, sender: str) -> None:
        self._free += 1
        self._held[sender] -= 1
        if not self._held[sender]:
            del self._held[sender]
        self._call()

    def _call(self) -> None:
        """Give what is free to the first of each line in turn, as far as each may have more."""
        called = True
        while called:
            called = False
            for sender in list(self._lines):
                if self._has_place(sender) and self._call_first(sender):
                    self._lines.move_to_end(sender)
                    called = True
                    break

    def _call_first(self, sender: str) -> bool:
        line = self._lines[sender]
        while line:
            first = line.popleft()
            if not first.done():
                self._hold(sender)
                first.set_result(None)
                return True
        return False

    def _leave(self, sender: str, called: asyncio.Future[None]) -> None:
        line = self._lines.get(sender)
        if line is None:
            return
        with contextlib.suppress(ValueError):
            line.remove(called)
        if not line:
            del self._lines[sender]


def admission_of(app: FastAPI) -> Admission:
    """Return the places of an application, made on first use."""
    found: Admission | None = getattr(app.state, "admission", None)
    if found is None:
        found = app.state.admission = Admission()
    return found


@contextlib.asynccontextmanager
async def admitted(request: Request) -> AsyncIterator[None]:
    """Hold a place for a request with signals, or raise Problem 503.

    Never 429: of the senders that we know most retry a 503 only.
    """
    sender = caller_of(request).name
    async with contextlib.AsyncExitStack() as stack:
        if not getattr(request.state, _ADMITTED, False):
            place = admission_of(request.app).place(sender)
            if not await stack.enter_async_context(place):
                context_of(request).instruments.refused(sender, "busy")
                raise come_again(_BUSY)
        try:
            yield
        except Full:
            # The place is held meanwhile, so that the same again does not come at once.
            await asyncio.sleep(REFUSED_AFTER_S)
            raise


@contextlib.asynccontextmanager
async def tolerated(request: Request) -> AsyncIterator[None]:
    """Hold a place for a body from somebody, or raise Problem 503.

    Who has shown a credential takes none; all others share theirs by address, apart from signals.
    """
    if caller_of(request).kind != "anonymous":
        yield
        return
    found: Admission | None = getattr(request.app.state, "strangers", None)
    if found is None:
        found = request.app.state.strangers = Admission()
    async with found.place(address_of(request)) as is_there:
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
    """Does what ``admitted`` does where the sender is remembered, and nothing else."""

    def __init__(self, app: ASGIApp, context: Context, home: FastAPI) -> None:
        self._app = app
        self._context = context
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
        if not sender:
            await self._app(scope, receive, send)
            return
        async with admission_of(self._home).place(sender) as is_there:
            if is_there:
                scope.setdefault("state", {})[_ADMITTED] = True
                await self._app(scope, receive, send)
                return
        self._context.instruments.refused(sender, "busy")
        await send({"type": "http.response.start", "status": 503, "headers": self._headers})
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
