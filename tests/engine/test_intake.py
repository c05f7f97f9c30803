"""Intake on a real database: what is accepted is durable, whoever else was in the same batch."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import pytest
from msgspec.structs import replace

from tests.core.world import signal
from tocsin.core.inputs import Signal
from tocsin.core.state import AlertRecord
from tocsin.core.surroundings import Tuning
from tocsin.engine.instruments import Instruments
from tocsin.engine.intake import Intake
from tocsin.engine.room import Full, IntakeLimits
from tocsin.engine.system import SystemClock
from tocsin.integrations.signals import Received, Rejected
from tocsin.store import Connection, alerts, inbox, quarantine, senders
from tocsin.store.database import Database, Unavailable

pytestmark = pytest.mark.anyio
CLOCK = SystemClock()
DESK = "desk/backend"


class Counting:
    """A database that counts its transactions, and can be slow or away."""

    def __init__(self, database: Database) -> None:
        self.real = database
        self.transactions = 0
        self.is_away = False
        self.gate = asyncio.Event()
        self.gate.set()

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        return self._lent(self.real.transaction())

    def reading(self) -> AbstractAsyncContextManager[Connection]:
        return self._lent(self.real.reading())

    @contextlib.asynccontextmanager
    async def _lent(
        self, real: AbstractAsyncContextManager[Connection]
    ) -> AsyncIterator[Connection]:
        self.transactions += 1
        await self.gate.wait()
        if self.is_away:
            raise Unavailable("It is away.")
        async with real as connection:
            yield connection


def intake_on(database: object, **limits: int) -> Intake:
    return Intake(database, Tuning(), Instruments(), IntakeLimits(**limits))  # type: ignore[arg-type]


def fires(name: str, key: str = "ingest") -> Signal:
    return replace(signal(name, key=key), starts_at=CLOCK.now(), ends_at=in_minutes(4))


def in_minutes(minutes: float):  # type: ignore[no-untyped-def]
    return CLOCK.now() + timedelta(minutes=minutes)


def batch(*signals: Signal, key: str = "ingest", rejected: tuple[Rejected, ...] = ()) -> Received:
    return Received(signals, rejected, "prometheus", key)


async def waiting(database: Database, stream: str = DESK) -> list[str]:
    async with database.reading() as c:
        return [w.input.signal.title for w in await inbox.take(c, stream, 5_000)]  # type: ignore[union-attr]


async def judge(database: Database, *records: AlertRecord) -> None:
    """Do what a turn does: the inputs are gone and their alerts are rows."""
    async with database.transaction() as c:
        await inbox.finish(c, {}, [w.id for w in await inbox.take(c, DESK, 5_000)])
        await alerts.put(c, "backend", records, await database.now(c))


async def test_requests_that_come_together_are_committed_together(database: Database) -> None:
    counting = Counting(database)
    intake = intake_on(counting)
    counting.gate.clear()
    async with asyncio.TaskGroup() as group:
        for n in range(50):
            group.create_task(intake.receive(batch(fires(f"a{n}")), CLOCK.now()))
        await asyncio.sleep(0)
        counting.gate.set()
    assert counting.transactions == 2
    assert await waiting(database) == [f"a{n}" for n in range(50)]


async def test_a_poisonous_value_is_put_aside_and_everybody_is_accepted(
    database: Database,
) -> None:
    async with database.transaction() as c:
        await c.execute("ALTER TABLE inbox ADD CHECK (position('poison'::bytea IN body) = 0)")
    counting = Counting(database)
    intake = intake_on(counting)
    counting.gate.clear()
    async with asyncio.TaskGroup() as group:
        for name in ("first", "good", "poison", "better"):
            group.create_task(intake.receive(batch(fires(name)), CLOCK.now()))
        await asyncio.sleep(0)
        counting.gate.set()
    assert await waiting(database) == ["first", "good", "better"]
    async with database.reading() as c:
        row = await c.fetchrow("SELECT key, raw, why FROM quarantine")
    assert row is not None
    assert (row["key"], b"poison" in row["raw"]) == ("ingest", True)
    assert "cannot keep" in row["why"]


async def test_a_cancelled_request_loses_nobody_elses_signal(database: Database) -> None:
    counting = Counting(database)
    intake = intake_on(counting)
    counting.gate.clear()
    tasks = [
        asyncio.ensure_future(intake.receive(batch(fires(f"a{n}")), CLOCK.now())) for n in range(5)
    ]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[2].cancel()
    await asyncio.sleep(0)
    counting.gate.set()
    said = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(s, asyncio.CancelledError) for s in said] == [
        True,
        False,
        True,
        False,
        False,
    ]
    assert await waiting(database) == ["a1", "a3", "a4"]


async def test_what_was_not_committed_is_not_taken_for_a_repeat(database: Database) -> None:
    counting = Counting(database)
    intake = intake_on(counting)
    sent = fires("a")
    counting.is_away = True
    with pytest.raises(Unavailable):
        await intake.receive(batch(sent), CLOCK.now())
    counting.is_away = False
    assert await intake.receive(batch(sent), CLOCK.now()) == (DESK,)
    assert await intake.receive(batch(sent), CLOCK.now()) == ()
    assert await waiting(database) == ["a"]


async def test_a_repeat_of_what_ended_elsewhere_reaches_its_desk_at_once(
    database: Database,
) -> None:
    intake = intake_on(database)
    sent = fires("a")
    await intake.receive(batch(sent), CLOCK.now())
    await judge(database, AlertRecord(sent, firing=False))
    again = replace(sent, ends_at=in_minutes(9))
    assert await intake.receive(batch(again), CLOCK.now()) == ()
    assert await intake.write_through() == (DESK,)
    async with database.reading() as c:
        [item] = await inbox.take(c, DESK)
    assert item.input.signal == again  # type: ignore[union-attr]


async def test_a_repeat_from_before_the_end_opens_nothing_again(database: Database) -> None:
    intake = intake_on(database)
    sent = fires("a")
    await intake.receive(batch(sent), CLOCK.now())
    await intake.receive(batch(sent), CLOCK.now())
    await judge(database, AlertRecord(sent, firing=False))
    assert await intake.write_through() == ()
    # But the next one is news.
    assert await intake.receive(batch(sent), CLOCK.now()) == (DESK,)


async def test_an_end_that_follows_a_repeat_is_not_undone_by_it(database: Database) -> None:
    intake = intake_on(database)
    sent = fires("a")
    await intake.receive(batch(sent), CLOCK.now())
    await judge(database, AlertRecord(sent, firing=True))
    await intake.receive(batch(sent), CLOCK.now())
    await intake.receive(batch(replace(sent, ends_at=CLOCK.now())), CLOCK.now())
    await judge(database, AlertRecord(sent, firing=False))
    assert await intake.write_through() == ()
    assert await waiting(database) == []


async def test_repeats_of_what_is_not_judged_yet_do_not_pile_up(database: Database) -> None:
    intake = intake_on(database)
    sent = fires("a")
    await intake.receive(batch(sent), CLOCK.now())
    for _ in range(3):
        await intake.receive(batch(sent), CLOCK.now())
        assert await intake.write_through() == ()
    assert await waiting(database) == ["a"]
    # Once judged, the last of them is written through.
    await judge(database, AlertRecord(replace(sent, ends_at=None), firing=True))
    await intake.write_through()
    async with database.reading() as c:
        [record] = (await alerts.load(c, [sent.fingerprint])).values()
    assert record.signal.ends_at == sent.ends_at


async def test_repeats_are_kept_while_the_database_is_away(database: Database) -> None:
    counting = Counting(database)
    intake = intake_on(counting)
    sent = fires("a")
    await intake.receive(batch(sent), CLOCK.now())
    await judge(database, AlertRecord(sent, firing=True))
    later = replace(sent, ends_at=in_minutes(30))
    await intake.receive(batch(later), CLOCK.now())
    counting.is_away = True
    with pytest.raises(Unavailable):
        await intake.write_through()
    counting.is_away = False
    await intake.write_through()
    async with database.reading() as c:
        [record] = (await alerts.load(c, [sent.fingerprint])).values()
    assert record.signal.ends_at == later.ends_at


async def test_what_is_forgotten_is_asked_of_the_desk_again(database: Database) -> None:
    intake = intake_on(database)
    sent = [fires("a"), fires("b")]
    await intake.receive(batch(*sent), CLOCK.now())
    intake.forget_all()
    await intake.receive(batch(*sent), CLOCK.now())
    assert await waiting(database) == ["a", "b", "a", "b"]


async def test_a_greedy_sender_is_told_to_wait_and_others_are_not(database: Database) -> None:
    intake = intake_on(database, waiting_max=10)
    greedy = [fires(f"g{n}", "greedy") for n in range(9)]
    for n in range(5):
        await intake.receive(batch(greedy[n], key="greedy"), CLOCK.now())
    with pytest.raises(Full, match="greedy"):
        await intake.receive(batch(greedy[5], key="greedy"), CLOCK.now())
    # What it has sent before costs nothing and is not refused.
    await intake.receive(batch(greedy[0], key="greedy"), CLOCK.now())
    await intake.receive(batch(fires("q", "quiet"), key="quiet"), CLOCK.now())
    # Another process has the same from the database.
    other = intake_on(database, waiting_max=10)
    await other.count()
    with pytest.raises(Full):
        await other.receive(batch(greedy[6], key="greedy"), CLOCK.now())
    await judge(database)
    await intake.count()
    await intake.receive(batch(greedy[5], key="greedy"), CLOCK.now())


async def test_rubbish_buries_only_what_its_own_sender_sent(database: Database) -> None:
    intake = intake_on(database, quarantine_bytes_max=16_000)
    await intake.receive(batch(key="quiet", rejected=(Rejected(b"q", "bad"),)), CLOCK.now())
    for n in range(40):
        rubbish = Rejected(bytes([n]) * 1_000, "bad")
        await intake.receive(batch(key="noisy", rejected=(rubbish,)), CLOCK.now())
    async with database.reading() as c:
        assert await quarantine.count(c) <= 18
        keys = {row["key"] for row in await c.fetch("SELECT key FROM quarantine")}
        newest = await c.fetchval("SELECT raw FROM quarantine ORDER BY id DESC LIMIT 1")
    assert keys == {"quiet", "noisy"}
    assert newest == bytes([39]) * 1_000


async def test_who_sends_is_written_down_when_it_stops_at_the_latest(database: Database) -> None:
    intake = intake_on(database)
    stop = asyncio.Event()
    woken: list[str] = []
    sent = fires("a")
    async with asyncio.TaskGroup() as group:
        group.create_task(intake.run(stop, CLOCK, woken.extend))
        for _ in range(3):
            await intake.receive(batch(sent), CLOCK.now())
        stop.set()
    async with database.reading() as c:
        [row] = await senders.find(c)
    assert (row.name, row.source, row.signals) == ("ingest", "prometheus", 3)
