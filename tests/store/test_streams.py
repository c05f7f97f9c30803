from __future__ import annotations

import asyncio

import pytest

from tocsin.store import streams
from tocsin.store.database import Database
from tocsin.store.streams import Claimed

pytestmark = pytest.mark.anyio


async def test_a_new_stream_begins_at_nothing(database: Database) -> None:
    async with database.transaction() as c:
        assert await streams.load(c, "desk/api") is None
        assert await streams.claim(c, "desk/api") == Claimed(0, None)


async def test_the_next_claimant_finds_what_was_saved(database: Database) -> None:
    async with database.transaction() as c:
        await streams.claim(c, "desk/api")
        await streams.save(c, "desk/api", 3, b"state")
    async with database.transaction() as c:
        assert await streams.load(c, "desk/api") == Claimed(3, b"state")
        assert await streams.claim(c, "desk/api") == Claimed(3, b"state")


@pytest.mark.parametrize("exists", [True, False])
async def test_of_two_claimants_one_goes_away_at_once(database: Database, exists: bool) -> None:
    if exists:
        async with database.transaction() as c:
            await streams.claim(c, "desk/api")
    async with database.transaction() as first, database.transaction() as second:
        assert await streams.claim(first, "desk/api") is not None
        async with asyncio.timeout(2):
            assert await streams.claim(second, "desk/api") is None
            assert await streams.claim(second, "desk/other") is not None


async def test_one_who_waits_sees_what_the_other_saved(database: Database) -> None:
    async with database.transaction() as c:
        await streams.claim(c, "desk/api")

    async def wait() -> Claimed | None:
        async with database.transaction() as c:
            return await streams.claim(c, "desk/api", wait=True)

    async with asyncio.TaskGroup() as tasks, database.transaction() as first:
        await streams.claim(first, "desk/api")
        waiting = tasks.create_task(wait())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await streams.save(first, "desk/api", 1, b"mine")
    assert waiting.result() == Claimed(1, b"mine")


async def test_many_claimants_of_new_streams_never_share_one(database: Database) -> None:
    held: dict[str, int] = {}

    async def turn(stream: str) -> None:
        for _ in range(10):
            async with database.transaction() as c:
                claimed = await streams.claim(c, stream)
                if claimed is None:
                    continue
                held[stream] = held.get(stream, 0) + 1
                assert held[stream] == 1
                await asyncio.sleep(0.001)
                held[stream] -= 1
                await streams.save(c, stream, claimed.seq + 1, b"")

    async with asyncio.TaskGroup() as tasks:
        for number in range(8):
            tasks.create_task(turn(f"desk/{number % 2}"))
