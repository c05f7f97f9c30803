from __future__ import annotations

import time

import pytest
from msgspec.structs import replace

import tocsin
from tests.store.samples import AT, NASTY, signal
from tocsin.core.inputs import Acknowledged, NoteWritten, SignalReceived, TimerFired
from tocsin.store import inbox, processes, quarantine
from tocsin.store.connection import Connection
from tocsin.store.database import Database
from tocsin.store.inbox import Arrival
from tocsin.store.migrate import migrations

pytestmark = pytest.mark.anyio
STREAM = "incident/INC-1"
OURS = len(migrations())


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
        found = [q.stream for q in await inbox.waiting_streams(c)]
        assert found == [STREAM, "desk/zeta", "desk/alpha"]


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
        [name] = [q.stream for q in await inbox.waiting_streams(c)]
        assert [w.input for w in await inbox.take(c, stream)] == [sent]
        assert [w.input for w in await inbox.take(c, name)] == [sent]


async def test_a_stream_name_of_ten_thousand_characters_has_a_queue_too(database: Database) -> None:
    stream = "desk/" + "x" * 10_000
    async with database.transaction() as c:
        await inbox.append(c, [(stream, SignalReceived(signal()))])
        assert len(await inbox.take(c, stream)) == 1


def arriving(name: str, sender: str = "k", stream: str = "desk/api") -> Arrival:
    return inbox.arrival(stream, SignalReceived(replace(signal(name), key=sender)))


async def refuse(c: Connection, word: str) -> None:
    """Let the database refuse every body that holds a word."""
    await c.execute(
        f"ALTER TABLE inbox ADD CHECK (position('{word}'::bytea IN body) = 0)",
    )


async def test_signals_of_many_senders_keep_their_order(database: Database) -> None:
    async with database.transaction() as c:
        await inbox.take_in(c, [arriving(f"f{n}", f"k{n % 3}") for n in range(10)])
        waiting = await inbox.take(c, "desk/api")
    names = [w.input.signal.fingerprint for w in waiting if isinstance(w.input, SignalReceived)]
    assert names == [f"f{n}" for n in range(10)]


async def test_what_the_database_refuses_is_found_among_its_siblings(database: Database) -> None:
    arrivals = [arriving(f"f{n}", "noisy") for n in range(100)]
    arrivals[37] = arriving("poison1", "noisy")
    arrivals[38] = arriving("poison2", "noisy")
    async with database.transaction() as c:
        await refuse(c, "poison")
    with pytest.raises(inbox.Unkeepable):
        async with database.transaction() as c:
            await inbox.take_in(c, arrivals)
    async with database.transaction() as c:
        assert await inbox.divide(c, arrivals) == arrivals[37:39]
    async with database.reading() as c:
        assert len(await inbox.take(c, "desk/api")) == 98
        rows = await c.fetch("SELECT source, key, raw, why FROM quarantine ORDER BY id")
    assert [(row["source"], row["key"], row["raw"]) for row in rows] == [
        ("inbox", "noisy", arrival.body) for arrival in arrivals[37:39]
    ]
    assert all("inbox_body_check" in row["why"] for row in rows)


async def test_a_defect_of_ours_puts_nothing_aside(database: Database) -> None:
    async with database.transaction() as c:
        await c.execute("ALTER TABLE inbox RENAME COLUMN sender TO gone")
    with pytest.raises(Exception, match="sender"):
        async with database.transaction() as c:
            await inbox.divide(c, [arriving("f1"), arriving("f2")])
    async with database.reading() as c:
        assert await quarantine.count(c) == 0


async def test_what_waits_is_counted_by_sender_and_people_count_for_nobody(
    database: Database,
) -> None:
    async with database.transaction() as c:
        await inbox.take_in(c, [arriving(f"f{n}", "noisy") for n in range(5)])
        await inbox.append(c, [("desk/api", SignalReceived(signal()))], sender="quiet")
        ids = await inbox.append(
            c, [(STREAM, NoteWritten("Sam", "a")), (STREAM, TimerFired("t", AT))]
        )
        assert await inbox.waiting_by_sender(c, 100) == {"noisy": 5, "quiet": 1}
        assert sum((await inbox.waiting_by_sender(c, 4)).values()) == 4
        await inbox.finish(c, {}, [*range(min(ids) - 6, max(ids) + 1)])
        assert await inbox.waiting_by_sender(c, 100) == {}


@pytest.mark.parametrize(
    ("step", "version", "left"),
    [
        (OURS, tocsin.__version__, 0),
        (OURS - 1, "99.0.0", 0),
        (OURS + 1, tocsin.__version__, 1),
        (OURS, "99.10.0rc1", 1),
    ],
)
async def test_what_a_newer_process_may_have_written_is_left_to_it(
    database: Database, step: int, version: str, left: int
) -> None:
    async with database.transaction() as c:
        newer = await processes.enter(c, "all", version, step)
        await c.execute(
            "INSERT INTO inbox (stream, priority, body) VALUES ($1, 1, $2)",
            STREAM,
            b'{"type":"FromTheFuture"}',
        )
        (known,) = await inbox.append(c, [(STREAM, TimerFired("two", AT))])
    async with database.transaction() as c:
        assert [w.id for w in await inbox.take(c, STREAM)] == [known]
        assert await c.fetchval("SELECT count(*) FROM inbox") == 1 + left
        # The newer one is gone, and nobody is left who could read it.
        await processes.leave(c, newer)
        assert [w.id for w in await inbox.take(c, STREAM)] == [known]
        assert await quarantine.count(c) == 1


async def test_a_million_waiting_inputs_make_no_turn_slower(database: Database) -> None:
    async with database.transaction() as c:
        # Nothing is known of a queue that grew this fast: that is when the planner errs.
        await c.execute("ALTER TABLE inbox SET (autovacuum_enabled = off)")
        await c.execute(
            "INSERT INTO inbox (stream, priority, body, sender) SELECT 'desk/api', 1, $1, 'k'"
            " FROM generate_series(1, 1000000)",
            inbox.arrival("", SignalReceived(signal())).body,
        )
        others = [(f"desk/s{n}", SignalReceived(signal())) for n in range(100)]
        await inbox.append(c, [*others, ("desk/api", NoteWritten("Ona", "x"))])
    async with database.reading() as c:
        for name, arguments in (
            ("take", ("desk/api", 500, 1_000_000)),
            ("waiting_streams", (100, "")),
        ):
            plan = await c.fetch(f"EXPLAIN {inbox._SQL[name]}", *arguments)
            said = "\n".join(row[0] for row in plan)
            assert "using inbox_waiting" in said, said
            assert "Seq Scan" not in said, said
            assert "Bitmap" not in said, said
        began = time.perf_counter()
        waiting = await inbox.take(c, "desk/api")
        streams = await inbox.waiting_streams(c)
        took_s = time.perf_counter() - began
    assert isinstance(waiting[0].input, NoteWritten)
    assert (len(waiting), streams[0].stream, len(streams)) == (500, "desk/api", 101)
    assert took_s < 1.0


async def test_what_is_taken_at_once_is_bounded_in_bytes(database: Database) -> None:
    notes = [NoteWritten("Ona", name * 1_500_000) for name in "abc"]
    async with database.transaction() as c:
        await inbox.append(c, [("desk/api", note) for note in notes])
        for note in notes:
            [waiting] = await inbox.take(c, "desk/api")
            assert waiting.input == note
            await inbox.finish(c, {}, [waiting.id])
        assert await inbox.take(c, "desk/api") == []
