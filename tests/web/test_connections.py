"""Who is hung up on, and who is not."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
import uvicorn

from tocsin.web.connections import Impatient

pytestmark = pytest.mark.anyio
WHOLE = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Hasty(Impatient):
    head_within_s = 0.2
    read_within_s = 0.3
    connections_max = 20
    _silent: ClassVar[dict[Impatient, None]] = {}


async def _slow_app(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/long":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1_000):
            await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
            await asyncio.sleep(0)
        return
    await asyncio.sleep(0.5)  # Longer than a head may take: a request that runs is not cut off.
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
async def caller() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(_slow_app, http=Hasty, log_config=None, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(sockets=[listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        yield reader, writer
        writer.close()
        server.should_exit = True


async def _answer(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(5):
        return await reader.readuntil(b"\r\n\r\nok")


async def _is_hung_up(reader: asyncio.StreamReader) -> bool:
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(5):
            return await reader.read() == b""
    return True


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nX: "])
async def test_who_does_not_finish_a_head_is_hung_up_on(
    caller: tuple[asyncio.StreamReader, asyncio.StreamWriter], begun: bytes
) -> None:
    reader, writer = caller
    writer.write(begun)
    assert await _is_hung_up(reader)


async def test_who_trickles_is_hung_up_on_all_the_same(
    caller: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    reader, writer = caller
    writer.write(WHOLE)
    assert b" 200 " in await _answer(reader)
    with contextlib.suppress(ConnectionError):
        for byte in b"GET / HTTP/1.1\r\nX-Long-Name: 12345":
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)
    assert await _is_hung_up(reader)


async def test_who_asks_whole_requests_is_answered_however_long_it_takes(
    caller: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    reader, writer = caller
    for _ in range(2):
        writer.write(WHOLE)
        assert b" 200 " in await _answer(reader)


async def test_who_does_not_read_the_answer_is_hung_up_on(
    caller: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    reader, writer = caller
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(1.0)
    reader._transport.resume_reading()  # type: ignore[attr-defined]
    # What had been sent can be read, and that is far from all.
    assert await _rest(reader) < 20_000_000


async def test_who_reads_slowly_is_not(
    caller: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    reader, writer = caller
    writer.write(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
    for _ in range(12):
        async with asyncio.timeout(5):
            assert await reader.readexactly(500_000)
        await asyncio.sleep(0.1)


async def test_the_longest_silent_makes_room_and_who_speaks_is_kept(
    caller: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    reader, writer = caller
    writer.write(WHOLE)
    assert b" 200 " in await _answer(reader)
    address = writer.get_extra_info("peername")
    silent = [await asyncio.open_connection(*address) for _ in range(60)]
    writer.write(WHOLE)
    assert b" 200 " in await _answer(reader)
    async with asyncio.timeout(0.15):
        await _is_hung_up(silent[0][0])
    for _, other in silent:
        other.close()


async def _rest(reader: asyncio.StreamReader) -> int:
    count = 0
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(5):
            while data := await reader.read(1_000_000):
                count += len(data)
    return count
