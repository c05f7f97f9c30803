"""The tables grow before they shrink, so that old and new run side by side."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import asyncpg
import pytest

from tests.store.samples import AT
from tocsin.core.inputs import TimerFired
from tocsin.store import inbox, jobs, migrate
from tocsin.store.database import Database, Unavailable
from tocsin.store.migrate import Kind, Migration, MigrationError, migrations

pytestmark = pytest.mark.anyio
KNOWN = migrations()
NEXT = len(KNOWN) + 1


def _step(number: int, sql: str, kind: Kind = "expand") -> Migration:
    return Migration(number, f"future_{number}", kind, sql)


GROWS = _step(NEXT, "ALTER TABLE inbox ADD COLUMN colour text NOT NULL DEFAULT 'red'")
SHRINKS = _step(NEXT, "ALTER TABLE inbox DROP COLUMN refusal", "contract")


async def _apply(url: str, steps: list[Migration], patience_s: float = 30) -> tuple[str, ...]:
    connection = await asyncpg.connect(url)
    try:
        return await migrate.apply(connection, steps, patience_s=patience_s)
    finally:
        await connection.close()


async def _commit(database: Database) -> None:
    async with database.transaction() as c:
        await inbox.append(c, [("desk/api", TimerFired("t", AT))])


def test_every_step_opens_with_its_kind() -> None:
    for step in KNOWN:
        assert step.sql.startswith(f"-- kind: {step.kind}\n")
    assert KNOWN[0].kind == "expand"


async def test_an_older_tocsin_starts_on_tables_that_only_grew(database_url: str) -> None:
    assert await _apply(database_url, [*KNOWN, GROWS]) == ()
    older = await Database.open(database_url)
    await _commit(older)
    await older.close()


async def test_an_older_tocsin_goes_on_while_the_tables_grow(database: Database) -> None:
    await _commit(database)
    await _apply(database.url, [*KNOWN, GROWS])
    await _commit(database)
    async with database.transaction() as c:
        claimed = await inbox.take(c, "desk/api", 10)
    assert len(claimed) == 2


async def test_an_older_tocsin_refuses_tables_that_lack_what_it_needs(database_url: str) -> None:
    await _apply(database_url, [*KNOWN, SHRINKS])
    with pytest.raises(MigrationError, match=rf"newer Tocsin.*step {NEXT}.*start that version"):
        await Database.open(database_url)


async def test_what_an_older_process_needs_stays_until_it_is_gone(database: Database) -> None:
    async with database.transaction() as c:
        row = await c.fetchrow(
            "INSERT INTO processes (role, version, step) VALUES ('all', '0.0', $1) RETURNING id",
            len(KNOWN),
        )
    later = _step(NEXT + 1, "ALTER TABLE inbox ADD COLUMN shape text")
    newer = await Database.open(database.url, steps=[*KNOWN, SHRINKS, later])
    facts = await newer.facts()
    assert facts.steps_left == (f"{NEXT:04}_future_{NEXT}",)
    async with newer.reading() as c:
        # What only grows need not wait.
        assert await c.fetchval("SELECT count(shape) FROM inbox") == 0
    await _commit(database)
    await newer.look_at_tables()
    assert (await newer.facts()).steps_left

    async def somebody_holds_a_table(*_: object, **__: object) -> tuple[str, ...]:
        raise MigrationError("Another process holds a table.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "apply", somebody_holds_a_table)
        await newer.look_at_tables()
    await _commit(newer)
    async with database.transaction() as c:
        await c.execute("DELETE FROM processes WHERE id = $1", row["id"] if row else None)
    await newer.look_at_tables()
    assert (await newer.facts()).steps_left == ()
    with pytest.raises(asyncpg.UndefinedColumnError):
        async with newer.reading() as c:
            await c.fetch("SELECT refusal FROM inbox")
    # Whoever was frozen for long, and taken for dead, writes nothing into what it does not know.
    await database.look_at_tables()
    with pytest.raises(Unavailable, match="newer Tocsin"):
        await _commit(database)
    await newer.close()


async def test_a_process_that_was_silent_for_long_is_not_waited_for(database: Database) -> None:
    async with database.transaction() as c:
        await c.execute(
            "INSERT INTO processes (role, version, step, seen_at)"
            " VALUES ('all', '0.0', 1, now() - interval '10 minutes')"
        )
    assert await _apply(database.url, [*KNOWN, SHRINKS]) == ()


async def test_what_was_written_at_the_first_step_is_there_at_the_last(
    embedded_url_empty: str,
) -> None:
    old = await asyncpg.connect(embedded_url_empty)
    # As the release of then made it: a history that knew no kinds, and the statements of then.
    await old.execute(
        "CREATE TABLE migrations (number integer PRIMARY KEY, name text NOT NULL,"
        " applied_at timestamptz NOT NULL DEFAULT now())"
    )
    await old.execute(KNOWN[0].sql)
    await old.execute("INSERT INTO migrations (number, name) VALUES (1, 'spine')")
    await old.execute(
        "INSERT INTO inbox (stream, priority, body) VALUES ('incident/INC-1', 1,"
        """ convert_to('{"type":"TimerFired","name":"t","due_at":"2026-03-01T10:00:00Z"}', 'UTF8'))"""
    )
    await old.execute(
        "INSERT INTO journal (stream, seq, at, revision, body) VALUES"
        " ('incident/INC-1', 1, now(), 'r', '{}')"
    )
    await old.execute(
        "INSERT INTO deliveries (id, incident, kind, recipient, contact, effect) VALUES"
        " ('INC-1/d1', 'INC-1', 'page', 'ona', 'email:ona@example.org', '{}')"
    )
    await old.execute("INSERT INTO timers VALUES ('incident/INC-1', 'rung/1', now())")
    await old.execute("INSERT INTO grants (hash, name, scopes) VALUES ('\\x01', 'old', '{read}')")
    await old.execute(
        "INSERT INTO sessions VALUES ('\\x02', 'Ona', '{read}', now() + interval '1 day')"
    )
    await old.close()
    database = await Database.open(embedded_url_empty)
    async with database.transaction() as c:
        [taken] = await inbox.take(c, "incident/INC-1", 10)
        assert taken.input == TimerFired("t", AT)
        for table in ("journal", "deliveries", "timers", "grants", "sessions"):
            rows = await c.fetch(f"TABLE {table}")
            assert len(rows) == 1, table
        kinds = await c.fetch("SELECT number, kind FROM migrations ORDER BY number")
    assert [(row["number"], row["kind"]) for row in kinds] == [(s.number, s.kind) for s in KNOWN]
    await database.close()


async def test_a_step_that_fails_leaves_nothing_of_itself(database: Database) -> None:
    broken = _step(NEXT, "ALTER TABLE inbox ADD COLUMN colour text; SELECT 1 / 0")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await _apply(database.url, [*KNOWN, broken])
    assert await _apply(database.url, [*KNOWN, GROWS]) == ()


async def test_a_session_that_does_not_let_go_is_named(database: Database) -> None:
    holder = await asyncpg.connect(database.url, server_settings={"application_name": "stopped"})
    await holder.execute(f"SELECT pg_advisory_lock({migrate._LOCK})")
    pid = holder.get_server_pid()
    with pytest.raises(MigrationError, match=rf"stopped, session {pid}.*pg_terminate_backend"):
        await _apply(database.url, [*KNOWN, GROWS], patience_s=0.5)
    await holder.close()
    assert await _apply(database.url, [*KNOWN, GROWS]) == ()


_MIGRATES = """
import asyncio, sys
import asyncpg
from tocsin.store import migrate

async def main():
    steps = migrate.migrations()
    sql = "SELECT pg_sleep(0.5)"
    steps.append(migrate.Migration(len(steps) + 1, "slow", "expand", sql))
    await migrate.apply(await asyncpg.connect(sys.argv[1]), steps)

asyncio.run(main())
"""


async def test_a_process_that_freezes_while_it_migrates_keeps_nobody_out(
    database: Database,
) -> None:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _MIGRATES, database.url),
        env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(30), database.reading() as c:
            query = (
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"
                " AND state = 'active'"
            )
            while not await c.fetchval(query):
                await asyncio.sleep(0.02)
        os.kill(child.pid, signal.SIGSTOP)
        async with asyncio.timeout(40):
            assert await _apply(database.url, [*KNOWN, GROWS]) == ()
    finally:
        child.kill()
        await child.wait()


async def test_a_step_gives_way_to_whoever_uses_its_table(database: Database) -> None:
    loop = asyncio.get_running_loop()
    async with database.transaction(patience_s=30) as long:
        await long.fetchval("SELECT count(*) FROM inbox")
        growing = asyncio.ensure_future(_apply(database.url, [*KNOWN, GROWS]))
        await asyncio.sleep(1)
        began = loop.time()
        # It waits for the table, and everybody behind it; but not for as long as the reader takes.
        await _commit(database)
        assert loop.time() - began < 5
        assert not growing.done()
    assert await growing == ()


async def test_a_table_that_stays_in_use_is_said(database: Database) -> None:
    async with database.transaction(patience_s=30) as long:
        await long.fetchval("SELECT count(*) FROM inbox")
        with pytest.raises(MigrationError, match="a long transaction uses one of them"):
            await _apply(database.url, [*KNOWN, GROWS], patience_s=0.1)


async def test_the_queue_of_a_newer_release_is_left_as_it_is(database: Database) -> None:
    async with database.transaction() as c:
        await c.execute("UPDATE installed SET version = '999.0' WHERE component = 'pgqueuer'")
    connection = await asyncpg.connect(database.url)
    await jobs.upgrade(connection, has_session=True)
    assert await connection.fetchval("SELECT version FROM installed") == "999.0"
    await connection.execute("UPDATE installed SET version = '0.1.0'")
    await jobs.upgrade(connection, has_session=False)
    assert await connection.fetchval("SELECT version FROM installed") == "0.1.0"
    await jobs.upgrade(connection, has_session=True)
    assert await connection.fetchval("SELECT version FROM installed") != "0.1.0"
    await connection.close()


@pytest.mark.parametrize("first", ["SELECT 1;", "-- kind: other\n", "-- Kind: expand\n"])
def test_a_file_without_a_kind_is_a_mistake_of_ours(first: str, tmp_path: Path) -> None:
    (tmp_path / "0001_x.sql").write_text(first)
    with pytest.raises(ValueError, match="must open with"):
        migrations(tmp_path)
