from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from tests.store.samples import AT
from tocsin.core.inputs import Acknowledged, TimerFired
from tocsin.store import inbox
from tocsin.store.database import Database, Unavailable
from tocsin.store.migrate import MigrationError

pytestmark = pytest.mark.anyio


async def test_what_a_failed_transaction_wrote_is_not_there(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as c:
            await inbox.append(c, [("desk/api", TimerFired("t", AT))])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.reading() as c:
        assert await inbox.waiting_streams(c) == []


async def test_the_clock_is_aware_and_in_utc(database: Database) -> None:
    now = await database.now()
    assert now.utcoffset() is not None
    assert not now.utcoffset()


async def test_the_url_with_its_password_is_not_shown(database: Database) -> None:
    assert database.url not in repr(database)


async def test_nobody_there_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"^The database does not answer: .+\.$"):
        await Database.open(f"postgresql://tocsin:secret@/tocsin?host={tmp_path}")


async def test_a_wrong_password_is_unavailable_and_not_repeated(database: Database) -> None:
    head, tail = database.url.split("@", 1)
    with pytest.raises(Unavailable) as caught:
        await Database.open(f"{head}wrong@{tail}")
    assert "wrong" not in str(caught.value)
    assert "password authentication failed" in str(caught.value)


async def test_rights_that_were_taken_away_are_no_fault_of_the_statement(
    database: Database,
) -> None:
    async def look_without_rights() -> None:
        async with database.transaction() as c:
            await c.execute("SET LOCAL ROLE pg_monitor")
            await inbox.waiting_streams(c)

    with pytest.raises(Unavailable, match="permission denied for table inbox"):
        await look_without_rights()
    async with database.reading() as c:
        assert await inbox.waiting_streams(c) == []


@pytest.mark.parametrize(
    "url", ["postgresql://u:secret:x@h:port/", "mysql://u:secret@h/d", "secret"]
)
async def test_an_address_that_cannot_be_read_is_said_without_its_password(url: str) -> None:
    with pytest.raises(Unavailable) as caught:
        await Database.open(url)
    assert "secret" not in str(caught.value)


async def test_a_role_that_may_not_make_tables_is_told_what_to_grant(
    embedded_url_empty: str,
) -> None:
    owner = await asyncpg.connect(embedded_url_empty)
    await owner.execute("DROP ROLE IF EXISTS guest")
    await owner.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    await owner.close()
    tail = embedded_url_empty.split("@", 1)[1]
    with pytest.raises(MigrationError, match="Grant the role"):
        await Database.open(f"postgresql://guest:guest@{tail}")


async def test_a_bug_in_a_statement_stays_a_bug(database: Database) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        async with database.transaction() as c:
            await c.execute("SELECT * FROM nothing_of_that_name")


async def test_an_error_of_the_caller_is_not_taken_for_the_database(database: Database) -> None:
    with pytest.raises(FileNotFoundError):
        async with database.transaction():
            raise FileNotFoundError


async def test_a_killed_connection_is_unavailable_and_the_next_one_works(
    database: Database,
) -> None:
    async def be_killed() -> None:
        async with database.transaction() as victim:
            pid = await victim.fetchval("SELECT pg_backend_pid()")
            async with database.reading() as other:
                await other.execute("SELECT pg_terminate_backend($1, 5000)", pid)
            await victim.fetchval("SELECT 1")

    with pytest.raises(Unavailable):
        await be_killed()
    async with database.transaction() as c:
        assert await c.fetchval("SELECT 1") == 1


async def test_a_statement_that_takes_too_long_is_unavailable(database: Database) -> None:
    async def sleep_too_long() -> None:
        async with database.transaction() as c:
            await c.execute("SET LOCAL statement_timeout = '20ms'")
            await c.execute("SELECT pg_sleep(5)")

    with pytest.raises(Unavailable):
        await sleep_too_long()


async def test_many_may_open_a_new_database_at_once(embedded_url_empty: str) -> None:
    opened = await asyncio.gather(*(Database.open(embedded_url_empty) for _ in range(4)))
    try:
        async with opened[0].reading() as c:
            assert await c.fetchval("SELECT count(*) FROM migrations WHERE number = 1") == 1
    finally:
        for database in opened:
            await database.close()


async def test_opening_again_changes_nothing(database: Database) -> None:
    async with database.transaction() as c:
        await inbox.append(c, [("incident/INC-1", Acknowledged("Priya", "web"))])
    again = await Database.open(database.url)
    async with again.reading() as c:
        assert [q.stream for q in await inbox.waiting_streams(c)] == ["incident/INC-1"]
    await again.close()


async def test_a_database_of_a_newer_tocsin_is_refused(database: Database) -> None:
    async with database.transaction() as c:
        await c.execute("INSERT INTO migrations VALUES (9999, 'future', now(), 'contract')")
    with pytest.raises(MigrationError, match="newer Tocsin"):
        await Database.open(database.url)
