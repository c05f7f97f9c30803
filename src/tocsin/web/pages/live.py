"""What changed, told to open pages: one stream a tab, fed by one listener for all of them.

A stream says only *that* something changed; the page then fetches itself again. Changes gather
while a stream is busy, so that a storm of a thousand events is one message.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event

from tocsin.store.database import Unavailable
from tocsin.store.live import RESTORED, Listener
from tocsin.web.context import Context, context_of
from tocsin.web.door import CHANGED, heard
from tocsin.web.errors import Problem
from tocsin.web.guard import Scope, allow, caller_of, is_still_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


HEARTBEAT_S: Final = 15.0
STREAMS_MAX: Final = 500
# Of one session or token: more tabs than this nobody looks at.
STREAMS_EACH_MAX: Final = 20
_TOPICS_MAX = 4
_TOPIC_CHARACTERS_MAX = 200
_REMEMBERED_MAX = 10_000
_GATHER_S = 0.15
_RECONNECT_MS = 1_000


class Stream:
    """One open tab: the topics it shows, and whether one of them changed since it was last told."""

    def __init__(self, topics: frozenset[str], reader: str = "") -> None:
        """Begin a stream that nothing has been told yet; ``reader`` is a session or token."""
        self.topics = topics
        self.reader = reader
        self.stirred = asyncio.Event()
        self.changed = False
        self.is_in_doubt = False

    def tell(self) -> None:
        """Note a change."""
        self.changed = True
        self.stirred.set()

    def doubt(self) -> None:
        """Note that its reader may no longer be let in."""
        self.is_in_doubt = True
        self.stirred.set()


class Broadcaster:
    """Hands what one listener hears to every stream that shows it."""

    def __init__(self, boot: str, hear: Callable[[str], None] = lambda _: None) -> None:
        """Begin with no streams; ``boot`` tells marks of this process from those of another.

        ``hear`` is called with every topic before the streams are told.
        """
        self._boot = boot
        self._tell_door = hear
        self._count = 0
        self._floor = 0
        self._last: OrderedDict[str, int] = OrderedDict()
        self.streams: set[Stream] = set()
        self.over = False

    @property
    def mark(self) -> str:
        """Return a mark of this instant. Take it before reading what a page shows."""
        return f"{self._boot}.{self._count}"

    def changed_since(self, topics: frozenset[str], mark: str) -> bool:
        """Say whether a topic may have changed since a mark; an unknown mark counts as long ago."""
        boot, _, count = mark.rpartition(".")
        if boot != self._boot or not (count.isascii() and count.isdigit()):
            return True
        seen = int(count[:18])
        return seen < self._floor or any(self._last.get(topic, 0) > seen for topic in topics)

    def tell(self, topic: str) -> None:
        """Say that a topic changed; "" says that anything may have.

        The board shows every incident, so it changes with each of them.
        """
        self._tell_door(topic)
        self._count += 1
        topics = {topic, "board"} if topic.startswith("incident/") else {topic}
        if topic:
            for name in topics:
                self._last[name] = self._count
                self._last.move_to_end(name)
            while len(self._last) > _REMEMBERED_MAX:
                # What is forgotten counts as changed: a page too many is fetched, none is stale.
                self._floor = max(self._floor, self._last.popitem(last=False)[1])
        else:
            self._floor = self._count
        for stream in self.streams:
            if topic in ("", CHANGED):
                stream.doubt()
            if not topic or topics & stream.topics:
                stream.tell()

    def end(self) -> None:
        """End every stream, now and from now on."""
        self.over = True
        for stream in self.streams:
            stream.stirred.set()

    async def run(self, context: Context) -> None:
        """Listen until the server closes, then end every stream."""
        async with asyncio.TaskGroup() as tasks:
            hearing = tasks.create_task(self._hear(context))
            await context.closing.wait()
            self.end()
            hearing.cancel()

    async def _hear(self, context: Context) -> None:
        async with Listener(context.database.direct) as listener:
            async for topic in listener:
                if topic in ("", RESTORED):
                    context.restored.set()
                self.tell("" if topic == RESTORED else topic)


def broadcaster_of(app: FastAPI) -> Broadcaster:
    """Return the broadcaster of an application, made on first use."""
    found: Broadcaster | None = getattr(app.state, "broadcaster", None)
    if found is None:
        context: Context = app.state.context
        boot = f"{context.started_at.timestamp():.6f}"
        found = app.state.broadcaster = Broadcaster(boot, partial(heard, app))
    return found


async def note_mark(request: Request) -> None:
    """Remember, before a page reads anything, up to where it is true."""
    request.state.live_mark = broadcaster_of(request.app).mark


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Run the broadcaster for as long as the application runs."""
    context: Context = app.state.context
    broadcaster = broadcaster_of(app)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(broadcaster.run(context))
        yield
        broadcaster.end()
        running.cancel()


router = APIRouter(include_in_schema=False, lifespan=lifespan)


@router.get("/live", **allow(Scope.READ) | {"include_in_schema": False})
async def live(request: Request) -> StreamingResponse:
    """Stream "changed" whenever what the page shows may have changed, and the time in between."""
    broadcaster = broadcaster_of(request.app)
    asked = request.query_params.getlist("topic")[:_TOPICS_MAX]
    topics = frozenset(topic[:_TOPIC_CHARACTERS_MAX] for topic in asked)
    if len(broadcaster.streams) >= STREAMS_MAX:
        raise Problem(503, "Too many pages are open at once.", headers={"Retry-After": "5"})
    reader = caller_of(request).number
    if sum(stream.reader == reader for stream in broadcaster.streams) >= STREAMS_EACH_MAX:
        raise Problem(
            503,
            f"{STREAMS_EACH_MAX} pages are open in this session.",
            "Close some of them.",
            {"Retry-After": "5"},
        )
    stream = Stream(topics, reader)
    if broadcaster.changed_since(topics, request.query_params.get("since", "")):
        stream.tell()
    return StreamingResponse(
        _messages(request, broadcaster, stream),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _messages(
    request: Request, broadcaster: Broadcaster, stream: Stream
) -> AsyncIterator[bytes]:
    context = context_of(request)
    broadcaster.streams.add(stream)
    try:
        yield _event(context, "hello", retry=_RECONNECT_MS)
        while not (broadcaster.over or context.closing.is_set()):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_S):
                    await stream.stirred.wait()
            stream.stirred.clear()
            if stream.is_in_doubt:
                stream.is_in_doubt = False
                if not await _may_go_on(request):
                    return
            if stream.changed:
                stream.changed = False
                yield _event(context, "changed")
                await asyncio.sleep(_GATHER_S)
            else:
                yield _event(context, "tick")
    finally:
        broadcaster.streams.discard(stream)


async def _may_go_on(request: Request) -> bool:
    """Say whether the reader would be let in again; who cannot be judged has to ask anew."""
    try:
        return await is_still_in(request)
    except Unavailable:
        return False


def _event(context: Context, name: str, retry: int | None = None) -> bytes:
    """Return a message that carries the server's time, by which pages correct their countdowns."""
    at = context.clock.now().isoformat()
    return format_sse_event(event=name, data_str=at, retry=retry)
