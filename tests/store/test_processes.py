from __future__ import annotations

import pytest

from tocsin.store import processes
from tocsin.store.connection import Connection
from tocsin.store.database import Database

pytestmark = pytest.mark.anyio


async def _silent_for(c: Connection, process: int, seconds: float) -> None:
    await c.execute(
        "UPDATE processes SET seen_at = now() - make_interval(secs => $2) WHERE id = $1",
        process,
        seconds,
    )


async def test_a_process_is_alive_from_its_entry_to_its_leaving(database: Database) -> None:
    async with database.transaction() as c:
        first = await processes.enter(c, "all", "1.2.3", 7, "abc")
        second = await processes.enter(c, "worker", "1.2.4", 8)
        assert [
            (p.id, p.role, p.version, p.step, p.revision) for p in await processes.alive(c)
        ] == [
            (first, "all", "1.2.3", 7, "abc"),
            (second, "worker", "1.2.4", 8, ""),
        ]
        await processes.leave(c, first)
        assert [p.id for p in await processes.alive(c)] == [second]


async def test_no_id_is_given_twice(database: Database) -> None:
    async with database.transaction() as c:
        first = await processes.enter(c, "all", "1", 1)
        await processes.leave(c, first)
        assert await processes.enter(c, "all", "1", 1) > first


async def test_whoever_is_silent_is_dead_to_the_others_until_the_next_beat(
    database: Database,
) -> None:
    async with database.transaction() as c:
        process = await processes.enter(c, "all", "1", 1)
        await _silent_for(c, process, 9)
        assert await processes.alive(c) == []
        assert await processes.beat(c, process, "def")
        [row] = await processes.alive(c)
        assert (row.id, row.revision) == (process, "def")


async def test_whoever_was_silent_for_a_day_is_removed_and_told_so(database: Database) -> None:
    async with database.transaction() as c:
        process = await processes.enter(c, "all", "1", 1)
        other = await processes.enter(c, "all", "1", 1)
        await _silent_for(c, process, 90_000)
        await processes.prune(c)
        assert not await processes.beat(c, process)
        assert await processes.beat(c, other)


async def test_who_is_alone_on_a_database_need_not_wait_for_the_dead(database: Database) -> None:
    async with database.transaction() as c:
        dead = await processes.enter(c, "all", "1", 1)
        await processes.bury(c)
        assert await processes.alive(c) == []
        assert await processes.enter(c, "all", "1", 1) > dead
