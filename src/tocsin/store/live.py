"""What changed, told to whoever shows it. A hint to look again, never the thing itself."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Any, Self

import asyncpg

from tocsin.store import codec
from tocsin.store.connection import Connection
from tocsin.store.statements import statements

_SQL = statements("live")
_CHANNEL = "tocsin_live"
_CONNECT_S_MAX = 5.0
_PROBE_EVERY_S = 20.0
_AGAIN_AFTER_S = 0.5
_TOPICS_MAX = 1_000
_TOPIC_CHARACTERS_MAX = 1_000  # NOTIFY carries less than 8,000 bytes.
_ANYTHING = ""


async def announce(c: Connection, topic: str) -> None:
    """Say that something about ``topic`` changed, when the transaction commits.

    Topics are "incident/INC-1", "board", "runbook", "inbox".
    """
    await c.execute(_SQL["announce"], codec.text(topic)[:_TOPIC_CHARACTERS_MAX])


class Listener:
    """Hears what is announced, on a connection of its own, and mends that by itself.

    Use it as ``async with Listener(url) as listener: async for topic in listener: ...``. The topic
    "" means that something may have been missed: assume that anything changed. It comes after each
    reconnection, and when a slow reader lets too many topics gather.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Any = None
        self._topics: asyncio.Queue[str | None] = asyncio.Queue(_TOPICS_MAX)
        self._lost = asyncio.Event()

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
                    await asyncio.sleep(_AGAIN_AFTER_S)
                    continue
                return _ANYTHING
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
            connection = await asyncpg.connect(
                self._url,
                timeout=_CONNECT_S_MAX,
                command_timeout=_CONNECT_S_MAX,
                server_settings={"application_name": "tocsin live", "timezone": "UTC"},
            )
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._lost.set()
            return False
        self._connection = connection
        connection.add_termination_listener(self._mark_lost)
        try:
            await connection.add_listener(_CHANNEL, self._hear)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._lost.set()
            return False
        return True

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection.remove_termination_listener(self._mark_lost)
            await connection.close(timeout=2.0)
        connection.terminate()

    async def _probe(self) -> None:
        # A connection that a firewall dropped in silence looks alive until something is asked.
        if self._connection is None:
            return
        try:
            await self._connection.fetchval("SELECT 1")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._lost.set()

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
