from __future__ import annotations

from datetime import timedelta

import pytest

from tocsin.store import timers
from tocsin.store.connection import Connection
from tocsin.store.database import Database

pytestmark = pytest.mark.anyio
STREAM = "incident/INC-1"
HOUR = timedelta(hours=1)


async def _jobs(c: Connection) -> list[str]:
    rows = await c.fetch(
        "SELECT payload FROM tocsin_pgqueuer WHERE entrypoint = 'timer' ORDER BY id"
    )
    return [row["payload"].decode() for row in rows]


async def test_a_timer_is_taken_when_its_time_has_come_and_once(database: Database) -> None:
    now = await database.now()
    async with database.transaction() as c:
        await timers.replace(c, STREAM, {"past": now - HOUR, "future": now + HOUR})
    async with database.transaction() as c:
        assert await timers.take_due(c, STREAM, "future") is None
        assert await timers.take_due(c, STREAM, "unknown") is None
        assert await timers.take_due(c, STREAM, "past") == now - HOUR
        assert await timers.take_due(c, STREAM, "past") is None
        assert await timers.of(c, STREAM) == {"future": now + HOUR}


async def test_what_nobody_took_in_time_is_taken_all_at_once_and_by_one(database: Database) -> None:
    now = await database.now()
    async with database.transaction() as c:
        just = now - timedelta(seconds=1)
        await timers.replace(c, STREAM, {"a": now - HOUR, "just": just, "future": now + HOUR})
        await timers.replace(c, "incident/INC-2", {"b": now - 2 * HOUR})
    async with database.transaction() as c:
        assert await timers.take_overdue(c, 60, limit=1) == [
            ("incident/INC-2", "b", now - 2 * HOUR)
        ]
        async with database.transaction() as other:
            # What one is taking, another leaves to it, and does not wait for.
            assert await timers.take_overdue(other, 60) == [(STREAM, "a", now - HOUR)]
    async with database.transaction() as c:
        assert await timers.take_overdue(c, 60) == []
        assert await timers.of(c, STREAM) == {"just": just, "future": now + HOUR}


async def test_rows_become_exactly_what_is_wanted(database: Database) -> None:
    now = await database.now()
    async with database.transaction() as c:
        await timers.replace(c, "incident/INC-2", {"a": now + HOUR})
        await timers.replace(c, STREAM, {"a": now + HOUR, "b": now + HOUR})
        await timers.replace(c, STREAM, {"b": now + 2 * HOUR, "c": now + HOUR})
        assert await timers.of(c, STREAM) == {"c": now + HOUR, "b": now + 2 * HOUR}
        await timers.replace(c, STREAM, {})
        assert await timers.of(c, STREAM) == {}
        assert await timers.of(c, "incident/INC-2") == {"a": now + HOUR}


async def test_only_new_and_moved_timers_get_a_job(database: Database) -> None:
    now = await database.now()
    async with database.transaction() as c:
        await timers.replace(c, STREAM, {"a": now + HOUR, "b": now + HOUR})
        assert await _jobs(c) == [f"{STREAM}\na", f"{STREAM}\nb"]
        await timers.replace(c, STREAM, {"a": now + HOUR, "b": now + HOUR})
        assert len(await _jobs(c)) == 2
        await timers.replace(c, STREAM, {"a": now + 2 * HOUR, "b": now + HOUR})
        assert await _jobs(c) == [f"{STREAM}\na", f"{STREAM}\nb", f"{STREAM}\na"]
        row = await c.fetchrow("SELECT execute_after FROM tocsin_pgqueuer ORDER BY id DESC LIMIT 1")
        assert row is not None
        assert row["execute_after"] == now + 2 * HOUR


async def test_a_timer_rolled_back_leaves_no_job(database: Database) -> None:
    now = await database.now()

    async def fail() -> None:
        async with database.transaction() as c:
            await timers.replace(c, STREAM, {"a": now})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.reading() as c:
        assert await _jobs(c) == []
        assert await timers.of(c, STREAM) == {}
