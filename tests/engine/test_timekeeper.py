"""The timekeeper on a real database, whose clock is made to look as if it had been set."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from tests.core.world import POLICY, signal
from tests.engine.test_engine import batch, book, engine_on, eventually, running
from tocsin.core.events import ClocksMoved
from tocsin.core.inputs import Acknowledged
from tocsin.core.timekeeping import STEP_S_MIN
from tocsin.engine.system import SystemClock
from tocsin.engine.timekeeper import Timekeeper
from tocsin.engine.turn import Turns, desk_stream
from tocsin.store import clock as database_clock
from tocsin.store import inbox, incidents, journal, timers

pytestmark = pytest.mark.anyio
INC = "incident/INC-1"


class HandClock(SystemClock):
    """The real clock, and a count of seconds that passed which the test can push on."""

    def __init__(self) -> None:
        self.extra_s = 0.0
        self.off_by = timedelta()

    def now(self) -> datetime:
        return super().now() + self.off_by

    def elapsed(self) -> float:
        return super().elapsed() + self.extra_s


class Keeper:
    def __init__(self, database) -> None:
        self.clock = HandClock()
        self.woken: list[str] = []
        self.it = Timekeeper(database, self.clock, self.woken.extend, lease_s=10.0)


async def show(database, ahead_s: float) -> None:
    """Make it so that the clock once showed a later time, as after a step back."""
    async with database.transaction() as c:
        await c.execute(
            "UPDATE clock_seen SET latest = clock_timestamp() + make_interval(secs => $1)", ahead_s
        )


async def open_incident(database):
    engine = engine_on(database)
    async with running(engine):
        await engine.receive(batch(signal(severity="P1")))

        async def is_open():
            async with database.reading() as c:
                return await incidents.find(c)

        [incident] = await eventually(is_open)
    return incident


async def due(database) -> dict[str, datetime]:
    async with database.reading() as c:
        return await timers.of(c, INC)


async def test_a_clock_that_runs_straight_moves_nothing(database):
    keeper = Keeper(database)
    assert [await keeper.it.look() for _ in range(3)] == [0.0, 0.0, 0.0]
    assert abs((keeper.it.now() - await database.now()).total_seconds()) < 0.5
    assert not keeper.woken


async def test_more_time_passed_than_the_clock_shows(database):
    await open_incident(database)
    keeper = Keeper(database)
    await keeper.it.look()
    keeper.clock.extra_s += 600.0
    assert await keeper.it.look() == pytest.approx(600.0, abs=1.0)
    assert keeper.woken == [INC]
    assert await keeper.it.look() == 0.0


async def test_a_step_that_was_made_while_nobody_ran_is_known_by_the_latest_time_seen(database):
    await open_incident(database)
    before = await due(database)
    await show(database, 1800.0)
    keeper = Keeper(database)
    assert await keeper.it.look() == pytest.approx(1800.0, abs=1.0)
    engine = engine_on(database)
    async with running(engine):

        async def moved():
            return (await due(database)) != before or None

        await eventually(moved)
    after = await due(database)
    assert {
        name: round((before[name] - at).total_seconds(), 0) for name, at in after.items()
    } == dict.fromkeys(before, 1800.0)
    async with database.reading() as c:
        events = [r.event for r in await journal.read(c, INC)]
    assert [type(e) for e in events].count(ClocksMoved) == 1


async def test_of_several_processes_one_acts(database):
    await open_incident(database)
    keepers = [Keeper(database) for _ in range(4)]
    for keeper in keepers:
        await keeper.it.look()
        keeper.clock.extra_s += 60.0
    moved = await asyncio.gather(*(keeper.it.look() for keeper in keepers))
    assert sorted(moved)[:3] == [0.0, 0.0, 0.0]
    assert sorted(moved)[3] == pytest.approx(60.0, abs=1.0)
    assert [await keeper.it.look() for keeper in keepers] == [0.0] * 4
    async with database.reading() as c:
        assert len(await inbox.take(c, INC)) == 1


async def test_a_leap_second_moves_nothing_and_holds_up_nothing(database):
    await open_incident(database)
    keeper = Keeper(database)
    await keeper.it.look()
    await show(database, 0.9)
    keeper.clock.extra_s += 0.9
    async with database.transaction() as c:
        assert await database_clock.hold(c) is None
    assert await keeper.it.look() == 0.0
    async with database.transaction() as c:
        assert await database_clock.hold(c) is not None
        assert await inbox.take(c, INC) == []


async def test_small_steps_back_add_up(database):
    await open_incident(database)
    keeper = Keeper(database)
    await keeper.it.look()
    moved = []
    for _ in range(3):
        keeper.clock.extra_s += 0.9
        moved.append(await keeper.it.look())
    assert moved[:2] == [0.0, 0.0]
    assert moved[2] == pytest.approx(2.7, abs=0.3)
    assert moved[2] >= STEP_S_MIN


async def test_a_clock_that_goes_forward_moves_nothing_and_grants_senders_their_grace(database):
    keeper = Keeper(database)
    await keeper.it.look()
    keeper.clock.extra_s += 20.0
    assert keeper.it.reached_for_s >= 20.0
    # Seen from ours, the database's clock went forward when ours fell behind.
    keeper.clock.extra_s -= 600.0
    assert await keeper.it.look() == 0.0
    assert keeper.it.reached_for_s < 1.0


async def test_whoever_was_asleep_or_frozen_could_not_be_reached(database):
    keeper = Keeper(database)
    keeper.clock.extra_s += 20.0
    await keeper.it.look()
    assert keeper.it.reached_for_s >= 20.0
    keeper.clock.extra_s += 31.0
    await keeper.it.look()
    assert keeper.it.reached_for_s < 1.0


async def test_a_turn_decides_nothing_until_its_stream_was_told(database):
    await open_incident(database)
    await show(database, 30.0)
    turns = Turns(database, book(POLICY), *_people())
    async with database.transaction() as c:
        await inbox.append(c, [(INC, Acknowledged("ona", "the room"))])
    assert (await turns.run(INC)).decided == 0
    assert (await turns.run(desk_stream("backend"))).decided == 0
    await Keeper(database).it.look()
    assert (await turns.run(INC)).decided == 2
    async with database.reading() as c:
        state = await incidents.get(c, "INC-1")
    assert state.acknowledged_by == "ona"


async def test_an_engine_keeps_time_by_itself(database):
    await open_incident(database)
    before = await due(database)
    engine = engine_on(database)
    async with running(engine):
        await show(database, 1800.0)

        async def moved():
            return (await due(database)) != before or None

        await eventually(moved)


async def test_what_fires_by_either_clock_fires(database):
    keeper = Keeper(database)
    await keeper.it.look()
    by_the_database = await database.now()
    keeper.clock.off_by = timedelta(days=1)
    assert abs((keeper.it.cautious.now() - by_the_database).total_seconds()) < 5
    keeper.clock.off_by = timedelta(days=-1)
    assert keeper.it.cautious.now() < by_the_database - timedelta(hours=23)


async def test_an_alert_is_no_resolved_one_because_our_clock_is_a_day_ahead(database):
    clock = HandClock()
    clock.off_by = timedelta(days=1)
    engine = engine_on(database, clock=clock)
    async with running(engine):
        await eventually(lambda: _is_known(engine))
        ends = SystemClock().now() + timedelta(minutes=4)
        await engine.receive(batch(signal(severity="P1", ends=ends)))

        async def is_open():
            async with database.reading() as c:
                return await incidents.find(c)

        await eventually(is_open)


async def _is_known(engine):
    timekeeper = engine._timekeeper
    return timekeeper.now() < timekeeper._clock.now() - timedelta(hours=1)


def _people():
    from tests.engine.test_engine import APP_ONLY, TUNING

    return APP_ONLY, TUNING
