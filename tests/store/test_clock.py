"""The clock of the database: held by those who decide by it, set back by one of many."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.store.samples import incident, page
from tocsin.core.inputs import Acknowledged, ClockMoved, DeliveryReported
from tocsin.store import clock, deliveries, inbox, incidents, streams, timers
from tocsin.store.connection import Connection
from tocsin.store.database import Database

pytestmark = pytest.mark.anyio
HOUR_S = 3600.0


async def _show(c: Connection, ahead: timedelta) -> None:
    """Make it so that the clock once showed a later time than now."""
    await c.execute("UPDATE clock_seen SET latest = clock_timestamp() + $1", ahead)


async def _move(c: Connection, steps: int = 0, by_s: float = HOUR_S) -> tuple[str, ...]:
    await clock.begin_moving(c)
    return await clock.move(c, steps, by_s, incidents="incident/", lease_s=10.0)


async def _open_incident(c: Connection, number: int) -> None:
    await streams.claim(c, f"incident/INC-{number}")
    await incidents.put(c, incident(number), 1)


async def test_nothing_is_decided_by_a_clock_that_is_behind_itself(database: Database) -> None:
    async with database.transaction() as c:
        assert await clock.hold(c) is not None
        await _show(c, timedelta(seconds=1))
        assert await clock.hold(c) is None
        await clock.accept(c)
        assert await clock.hold(c) is not None


async def test_noting_the_time_never_sets_the_mark_back(database: Database) -> None:
    async with database.transaction() as c:
        await _show(c, timedelta(hours=1))
        before = await clock.look(c)
        await clock.note(c)
        assert (await clock.look(c)).latest == before.latest
        await _show(c, timedelta(hours=-1))
        await clock.note(c)
        seen = await clock.look(c)
    assert timedelta() <= seen.at - seen.latest < timedelta(minutes=1)


async def test_a_step_is_counted_and_not_dealt_with_twice(database: Database) -> None:
    async with database.transaction() as c:
        await _open_incident(c, 1)
    async with database.transaction() as c:
        assert await _move(c) == ("incident/INC-1",)
        assert (await clock.look(c)).steps == 1
    with pytest.raises(AssertionError):
        async with database.transaction() as c:
            await _move(c)
    async with database.transaction() as c:
        assert len(await inbox.take(c, "incident/INC-1")) == 1


async def test_open_incidents_hear_of_it_before_anything_else(database: Database) -> None:
    async with database.transaction() as c:
        await _open_incident(c, 1)
        await _open_incident(c, 2)
        over = incident(2)
        await c.execute("UPDATE incidents SET is_open = false WHERE id = $1", over.id)
        await inbox.append(c, [("incident/INC-1", DeliveryReported("INC-1/d1", delivered=True))])
        await inbox.append(c, [("incident/INC-1", Acknowledged("ona", "the room"))])
    async with database.transaction() as c:
        assert await _move(c) == ("incident/INC-1",)
        waiting = await inbox.take(c, "incident/INC-1")
        assert [type(item.input) for item in waiting] == [
            ClockMoved,
            Acknowledged,
            DeliveryReported,
        ]
        await inbox.finish(c, {}, [item.id for item in waiting])
        assert await inbox.take(c, "incident/INC-1") == []


async def test_who_has_least_time_left_hears_of_it_first(database: Database) -> None:
    now = await database.now()
    async with database.transaction() as c:
        for number, minutes in ((1, 60), (2, 5), (3, 0), (4, 30)):
            await _open_incident(c, number)
            due = {"rung": now + timedelta(minutes=minutes)} if minutes else {}
            await timers.replace(c, f"incident/INC-{number}", due)
    async with database.transaction() as c:
        await _move(c)
        names = [queue.stream for queue in await inbox.waiting_streams(c)]
    assert names == [f"incident/INC-{n}" for n in (2, 4, 1, 3)]


async def test_what_waits_for_its_next_try_waits_as_long_as_before(database: Database) -> None:
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", [page(1), page(2), page(3)])
        await c.execute(
            "UPDATE deliveries SET due_at = now() + interval '1 hour 30 s' WHERE id = 'INC-1/d1'"
        )
        await c.execute(
            "UPDATE deliveries SET leased_until = now() + interval '1 hour 5 s'"
            " WHERE id = 'INC-1/d2'"
        )
        await c.execute(
            "UPDATE tocsin_pgqueuer SET execute_after = now() + interval '1 hour',"
            " heartbeat = now() + interval '1 hour'"
        )
    async with database.transaction() as c:
        await _move(c)
        rows = await c.fetch(
            "SELECT due_at - now() AS due, leased_until - now() AS lease FROM deliveries ORDER BY id"
        )
        jobs = await c.fetch(
            "SELECT execute_after - now() AS due, heartbeat - now() AS beat FROM tocsin_pgqueuer"
        )
    second = timedelta(seconds=1)
    assert abs(rows[0]["due"] - timedelta(seconds=30)) < second
    assert abs(rows[1]["lease"] - timedelta(seconds=10)) < second
    assert rows[2]["lease"] is None
    assert jobs
    assert all(abs(job["due"]) < second and job["beat"] < second for job in jobs)


async def test_a_process_that_died_in_the_future_is_not_alive_until_then(
    database: Database,
) -> None:
    async with database.transaction() as c:
        await c.execute(
            "INSERT INTO processes (role, version, step, seen_at)"
            " VALUES ('all', '1', 7, now() + interval '1 hour'), ('all', '1', 7, now())"
        )
        await _move(c)
        late = await c.fetchval("SELECT count(*) FROM processes WHERE seen_at > clock_timestamp()")
    assert late == 0


async def test_a_step_waits_for_those_who_decide_and_those_who_come_later_for_it(
    database: Database,
) -> None:
    told: list[str] = []
    holding, done = asyncio.Event(), asyncio.Event()

    async def decide() -> None:
        async with database.transaction() as c:
            assert await clock.hold(c) is not None
            holding.set()
            await done.wait()
            told.append("decided")

    async def step() -> None:
        await holding.wait()
        async with database.transaction() as c:
            await clock.begin_moving(c)
            told.append("moved")

    async with asyncio.TaskGroup() as group:
        group.create_task(decide())
        group.create_task(step())
        await holding.wait()
        async with database.reading() as c:
            waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            while not await c.fetchval(waits):
                await asyncio.sleep(0.01)
        done.set()
    assert told == ["decided", "moved"]
