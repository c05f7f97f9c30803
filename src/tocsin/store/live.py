"""What changed, told to whoever shows it. A hint to look again, never the thing itself."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Any, Self

from tocsin.store import codec
from tocsin.store.connection import Connection
from tocsin.store.route import Route, Use
from tocsin.store.statements import statements
from tocsin.store.unavailable import FAILURES, Unavailable, translated

_SQL = statements("live")
RESTORED = "restored"
"""The topic of a database that was replaced by a backup: whatever is remembered may be wrong."""
_CHANNEL = "tocsin_live"
_COMMAND_S_MAX = 5.0
_PROBE_EVERY_S = 20.0
_AGAIN_AFTER_S = 0.5
# Where nobody tells us, we look so often, and now and then say so even if nothing seems new.
_POLL_EVERY_S = 1.0
_POLLS_UNTIL_ANYTHING = 15
_TOPICS_MAX = 1_000
_TOPIC_CHARACTERS_MAX = 1_000  # NOTIFY carries less than 8,000 bytes.
_ANYTHING = ""


async def announce(c: Connection, topic: str) -> None:
    """Say that something about ``topic`` changed, when the transaction commits.

    Topics are "incident/INC-1", "board", "runbook", "inbox", and RESTORED.
    """
    await c.execute(_SQL["announce"], codec.text(topic)[:_TOPIC_CHARACTERS_MAX])


class Listener:
    """Hears what is announced, on a connection of its own, and mends that by itself.

    Use it as ``async with Listener(route) as listener: async for topic in listener: ...``. The
    topic "" means that something may have been missed: assume that anything changed. It comes after
    each reconnection, and when a slow reader lets too many topics gather. Through a pooler that
    keeps announcements to itself, it looks every second whether anything changed, and then says "".
    """

    def __init__(self, route: Route) -> None:
        self._route = route
        self._connection: Any = None
        self._topics: asyncio.Queue[str | None] = asyncio.Queue(_TOPICS_MAX)
        self._lost = asyncio.Event()
        self._seen: object = None
        self._polls = 0

    async def __aenter__(self) -> Self:
        """Begin to listen. Nobody there yet is no error: it is tried again while iterating."""
        await self._connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening."""
        await self._disconnect()

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> str:
        """Return the next topic, waiting for it however long that takes."""
        while True:
            if self._topics.empty() and self._lost.is_set():
                await self._disconnect()
                if not await self._connect():
                    await self._route.rest(_AGAIN_AFTER_S)
                    continue
                return _ANYTHING
            if self._route.switches:
                if await self._has_changed():
                    return _ANYTHING
                continue
            try:
                async with asyncio.timeout(_PROBE_EVERY_S):
                    topic = await self._topics.get()
            except TimeoutError:
                await self._probe()
                continue
            if topic is not None:
                return topic

    async def _connect(self) -> bool:
        self._lost.clear()
        try:
            self._route.must_be_open()
            with translated(None):
                connection = await self._route.connect(
                    "tocsin live", Use.LOOP, command_s_max=_COMMAND_S_MAX
                )
        except Unavailable:
            self._lost.set()
            return False
        self._connection = connection
        connection.add_termination_listener(self._mark_lost)
        if self._route.switches:
            return True
        try:
            await connection.add_listener(_CHANNEL, self._hear)
        except FAILURES:
            self._lost.set()
            return False
        return True

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with contextlib.suppress(*FAILURES):
            connection.remove_termination_listener(self._mark_lost)
            await connection.close(timeout=2.0)
        connection.terminate()

    async def _probe(self) -> None:
        # A connection that a firewall dropped in silence looks alive until something is asked.
        if self._connection is None:
            return
        try:
            await self._connection.fetchval(_SQL["probe"])
        except FAILURES:
            self._lost.set()

    async def _has_changed(self) -> bool:
        """Wait a moment; then say whether anything was taken in, decided or put in force in it."""
        await asyncio.sleep(_POLL_EVERY_S)
        try:
            async with self._connection.transaction():
                row = await self._connection.fetchrow(_SQL["mark"])
        except FAILURES:
            self._lost.set()
            return False
        before, self._seen = self._seen, tuple(row)
        self._polls += 1
        return before != self._seen or self._polls % _POLLS_UNTIL_ANYTHING == 0

    def _hear(self, connection: object, pid: int, channel: str, topic: object) -> None:
        if self._topics.full():
            while not self._topics.empty():
                self._topics.get_nowait()
            topic = _ANYTHING  # Which is what all of those and this one come to.
        self._topics.put_nowait(str(topic))

    def _mark_lost(self, connection: object) -> None:
        self._lost.set()
        # Wakes a reader who waits for a topic that cannot come.
        if self._topics.empty():
            self._topics.put_nowait(None)
