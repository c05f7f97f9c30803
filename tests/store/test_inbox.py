from __future__ import annotations

import pytest

from tests.store.samples import AT, NASTY, signal
from tocsin.core.inputs import Acknowledged, NoteWritten, SignalReceived, TimerFired
from tocsin.store import inbox, quarantine
from tocsin.store.database import Database

pytestmark = pytest.mark.anyio
STREAM = "incident/INC-1"


async def test_people_go_first_and_the_rest_in_the_order_it_came(database: Database) -> None:
    items = [
        (STREAM, TimerFired("one", AT)),
        (STREAM, TimerFired("two", AT)),
        (STREAM, Acknowledged("Priya", "web")),
    ]
    async with database.transaction() as c:
        ids = await inbox.append(c, items)
    async with database.reading() as c:
        waiting = await inbox.take(c, STREAM)
        assert [w.id for w in waiting] == [ids[2], ids[0], ids[1]]
        assert [w.input for w in waiting] == [items[2][1], items[0][1], items[1][1]]
        assert len(await inbox.take(c, STREAM, limit=2)) == 2


async def test_streams_where_a_person_waits_come_before_longer_waiting_ones(
    database: Database,
) -> None:
    async with database.transaction() as c:
        storm = [("desk/zeta", SignalReceived(signal(f"f{i}"))) for i in range(50)]
        await inbox.append(c, [*storm, ("desk/alpha", SignalReceived(signal()))])
        await inbox.append(c, [(STREAM, Acknowledged("Priya", "web"))])
    async with database.reading() as c:
        assert await inbox.waiting_streams(c) == [STREAM, "desk/zeta", "desk/alpha"]
        assert await inbox.waiting_streams(c, limit=1) == [STREAM]


async def test_a_judged_signal_is_gone_and_a_person_gets_an_answer(database: Database) -> None:
    async with database.transaction() as c:
        ids = await inbox.append(
            c,
            [
                (STREAM, TimerFired("one", AT)),
                (STREAM, Acknowledged("Priya", "web")),
                (STREAM, NoteWritten("Sam", "hello")),
            ],
        )
    async with database.transaction() as c:
        assert [await inbox.outcome(c, i) for i in ids] == [None, None, None]
        await inbox.finish(c, {ids[2]: "It is over."}, ids)
    async with database.transaction() as c:
        assert await inbox.take(c, STREAM) == []
        assert await inbox.waiting_streams(c) == []
        assert [await inbox.outcome(c, i) for i in ids] == ["", "", "It is over."]
        assert await c.fetchval("SELECT count(*) FROM inbox") == 2


async def test_answers_are_forgotten_in_time_and_waiting_inputs_never(database: Database) -> None:
    async with database.transaction() as c:
        done, _ = await inbox.append(c, [(STREAM, NoteWritten("Sam", "a"))] * 2)
        await inbox.finish(c, {done: "No."}, [done])
        await inbox.prune(c, 3600)
        assert await inbox.outcome(c, done) == "No."
    async with database.transaction() as c:
        await inbox.prune(c, 0)
        assert len(await inbox.take(c, STREAM)) == 1
        assert await c.fetchval("SELECT count(*) FROM inbox") == 1


async def test_a_poisonous_input_is_put_aside_with_its_bytes(database: Database) -> None:
    async with database.transaction() as c:
        ids = await inbox.append(
            c, [(STREAM, TimerFired("one", AT)), (STREAM, TimerFired("2", AT))]
        )
        await inbox.put_aside(c, ids[0], "It broke the turn.")
    async with database.reading() as c:
        assert [w.id for w in await inbox.take(c, STREAM)] == [ids[1]]
        assert await quarantine.count(c) == 1
        row = await c.fetchrow("SELECT raw, why, key FROM quarantine")
        assert row is not None
        assert b'"name":"one"' in row["raw"]
        assert (row["why"], row["key"]) == ("It broke the turn.", STREAM)


async def test_a_person_whose_input_was_put_aside_is_told(database: Database) -> None:
    async with database.transaction() as c:
        (number,) = await inbox.append(c, [(STREAM, NoteWritten("Sam", "a"))])
        await inbox.put_aside(c, number, "It broke the turn.")
        assert "put aside" in str(await inbox.outcome(c, number))


async def test_bytes_that_no_longer_decode_do_not_hold_up_the_rest(database: Database) -> None:
    async with database.transaction() as c:
        await c.execute(
            "INSERT INTO inbox (stream, priority, body) VALUES ($1, 1, $2)",
            STREAM,
            b'{"type":"Gone"}',
        )
        (second,) = await inbox.append(c, [(STREAM, TimerFired("two", AT))])
    async with database.transaction() as c:
        assert [w.id for w in await inbox.take(c, STREAM)] == [second]
        assert await quarantine.count(c) == 1


async def test_nul_and_half_characters_arrive_as_they_came(database: Database) -> None:
    sent = SignalReceived(signal(title=NASTY))
    stream = f"desk/{NASTY}"
    async with database.transaction() as c:
        await inbox.append(c, [(stream, sent)])
    async with database.reading() as c:
        (name,) = await inbox.waiting_streams(c)
        assert [w.input for w in await inbox.take(c, stream)] == [sent]
        assert [w.input for w in await inbox.take(c, name)] == [sent]


async def test_a_stream_name_of_ten_thousand_characters_has_a_queue_too(database: Database) -> None:
    stream = "desk/" + "x" * 10_000
    async with database.transaction() as c:
        await inbox.append(c, [(stream, SignalReceived(signal()))])
        assert len(await inbox.take(c, stream)) == 1
