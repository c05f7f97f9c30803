"""Clients that mean harm, in a process of their own: ``python -m tests.e2e.enemies PORT KEY EACH``.

Each kind comes so many times at once, and comes back whenever it was hung up on. It ends with its
standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import sys
from collections.abc import Callable, Coroutine
from typing import Any

Enemy = Callable[[asyncio.StreamReader, asyncio.StreamWriter, str], Coroutine[Any, Any, None]]


def head(key: str, *lines: str) -> bytes:
    first = f"POST /in/{key}/api/v2/alerts HTTP/1.1"
    return "\r\n".join([first, "Host: x", *lines, "", ""]).encode()


async def says_nothing(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str
) -> None:
    await reader.read()


async def trickles_a_head(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str
) -> None:
    writer.write(b"GET / HTTP/1.1\r\nX-A: ")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def sends_a_head_without_end(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str
) -> None:
    writer.write(b"GET / HTTP/1.1\r\n")
    while True:
        writer.write(b"X-Many: " + b"x" * 4_096 + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


async def trickles_a_body(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str
) -> None:
    writer.write(head(key, "Content-Length: 100000"))
    while True:
        writer.write(b"[")
        await writer.drain()
        await asyncio.sleep(0.05)


async def sends_a_body_without_end(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str
) -> None:
    writer.write(head(key, "Transfer-Encoding: chunked"))
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    while True:
        writer.write(chunk)
        await writer.drain()
        await asyncio.sleep(0.02)


async def announces_ten_gigabytes(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str
) -> None:
    writer.write(head("not-a-key", "Content-Length: 10737418240"))
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()
        await asyncio.sleep(0.02)


async def sends_a_bomb(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str
) -> None:
    lines = (f"Content-Length: {len(BOMB)}", "Content-Encoding: gzip")
    writer.write(head(key, *lines) + BOMB)
    # Compressed, or its sender's places are all taken by its like: it is never unpacked.
    assert (await reader.readline()).split(b" ")[1] in (b"415", b"503")


async def pipelines_rubbish(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str
) -> None:
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 5 + bytes(range(256)) * 500)
    await reader.read()


async def reads_nothing(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str
) -> None:
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    while True:
        writer.write(b"GET /static/pages.css HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        await writer.drain()
        await asyncio.sleep(2.0)


ENEMIES: tuple[Enemy, ...] = (
    says_nothing,
    trickles_a_head,
    sends_a_head_without_end,
    trickles_a_body,
    sends_a_body_without_end,
    announces_ten_gigabytes,
    sends_a_bomb,
    pipelines_rubbish,
    reads_nothing,
)
BOMB = gzip.compress(b"[" + b" " * 104_857_600, compresslevel=9)


async def _again_and_again(enemy: Enemy, port: int, key: str) -> None:
    """Come back whenever we were hung up on."""
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await enemy(reader, writer, key)
            finally:
                writer.transport.abort()
        await asyncio.sleep(0.5)


async def _besiege(port: int, key: str, of_each_kind: int) -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), over.set)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_again_and_again(enemy, port, key))
            for enemy in ENEMIES
            for _ in range(of_each_kind)
        ]
        print("here we are", flush=True)  # noqa: T201 - how the test knows
        await over.wait()
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(_besiege(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
