"""A network between two programs, which can be made to swallow everything, or to be cut.

A relay on a port of 127.0.0.1. ``swallow`` keeps all connections open and lets nothing through,
as a firewall does that forgot them: nobody hears that the other end is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self


class Network:
    """Relays to ``host``:``port`` while used as ``async with``; ``port`` is its own then."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._through = asyncio.Event()
        self._through.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._lost: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    def lead_to(self, host: str, port: int) -> None:
        """Send new connections elsewhere, as an address that moves to another server."""
        self._to = (host, port)

    def swallow(self) -> None:
        """Let nothing through any more, in either direction, and say nothing of it."""
        self._through.clear()

    def heal(self) -> None:
        """Let new connections through. Those from before stay lost, as they would."""
        for task in list(self._tasks):
            task.cancel()
        self._lost |= self._writers
        self._writers = set()
        self._through.set()

    def cut(self) -> None:
        """Close every connection; new ones are let through."""
        for writer in self._writers | self._lost:
            writer.transport.abort()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        self._through.set()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            await self._through.wait()
            there, back = await asyncio.open_connection(*self._to)
            self._writers.add(back)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, back))
                group.create_task(self._pump(there, writer))
        except* (OSError, asyncio.CancelledError):
            # A cancelled one was swallowed: it is neither closed nor heard of again.
            pass
        finally:
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while said := await reader.read(65_536):
                await self._through.wait()
                writer.write(said)
                await writer.drain()
        writer.close()
