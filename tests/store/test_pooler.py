"""Through a real PgBouncer: in transaction mode, in session mode, and past it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.proof.postgres import Postgres
from tests.store.pooler import Pooler
from tests.store.samples import AT
from tocsin.core.inputs import TimerFired
from tocsin.store import inbox, jobs, live
from tocsin.store.database import Database, Unavailable
from tocsin.store.live import Listener
from tocsin.store.migrate import MigrationError

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server(enterable_dir: Path) -> Iterator[Postgres]:
    with Postgres(Path(tempfile.mkdtemp(dir=enterable_dir))) as running:
        yield running


@pytest.fixture(scope="module")
def pooler(enterable_dir: Path, server: Postgres) -> Iterator[Pooler]:
    with Pooler(server, Path(tempfile.mkdtemp(dir=enterable_dir))) as running:
        yield running


@pytest.fixture
async def name(server: Postgres, anyio_backend: str) -> str:
    """An empty database of this test's own."""
    made = "pooled"
    owner = await asyncpg.connect(server.url)
    await owner.execute(f"DROP DATABASE IF EXISTS {made} WITH (FORCE)")
    await owner.execute(f"CREATE DATABASE {made} TEMPLATE template0")
    await owner.close()
    return made


def _in(url: str, name: str) -> str:
    return urlsplit(url)._replace(path=f"/{name}").geturl()


async def _commit(database: Database, stream: str = "desk/api") -> None:
    async with database.transaction() as c:
        await inbox.append(c, [(stream, TimerFired("t", AT))])


async def test_all_works_through_a_pooler_that_switches_sessions(
    pooler: Pooler, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = await Database.open(_in(pooler.url, name))
    assert "DATABASE_DIRECT_URL" in caplog.text
    facts = await database.facts()
    assert (facts.is_pooled, facts.listens) == (True, False)

    async def work(number: int) -> None:
        for done in range(1, 21):
            await _commit(database, f"desk/{number}")
            async with database.reading() as c:
                query = "SELECT count(*) FROM inbox WHERE stream = $1"
                assert await c.fetchval(query, f"desk/{number}") == done

    async with asyncio.TaskGroup() as tasks:
        for number in range(8):
            tasks.create_task(work(number))
    await database.close()


async def test_the_limits_of_a_session_hold_for_each_transaction_instead(
    pooler: Pooler, name: str
) -> None:
    database = await Database.open(_in(pooler.url, name))
    async with database.transaction() as c:
        assert await c.fetchval("SHOW idle_in_transaction_session_timeout") == "5s"
        assert await c.fetchval("SHOW statement_timeout") == "25s"
    async with database.transaction(patience_s=90) as c:
        assert await c.fetchval("SHOW idle_in_transaction_session_timeout") == "90s"
        assert await c.fetchval("SHOW statement_timeout") == "90s"
    await database.close()


async def test_jobs_come_without_being_told_of(pooler: Pooler, name: str) -> None:
    database = await Database.open(_in(pooler.url, name))
    heard: asyncio.Queue[str] = asyncio.Queue()
    stop = asyncio.Event()

    async def handle(payload: str) -> None:
        heard.put_nowait(payload)

    async with asyncio.TaskGroup() as tasks:
        handlers = {"timer": handle, "delivery": handle}
        # Two, as two processes would: they share the sessions behind the pooler.
        tasks.create_task(jobs.run(database.direct, handlers, stop))
        tasks.create_task(jobs.run(database.direct, handlers, stop))
        async with database.transaction() as c:
            await jobs.enqueue(
                c, [("delivery", str(number), timedelta(0)) for number in range(100)]
            )
        async with asyncio.timeout(20):
            got = {await heard.get() for _ in range(100)}
        # Longer than the library waits for its own voice: it must not think itself deaf.
        await asyncio.sleep(11)
        async with database.transaction() as c:
            await jobs.enqueue(c, [("timer", "late", timedelta(0))])
        async with asyncio.timeout(5):
            assert await heard.get() == "late"
        stop.set()
    assert got == {str(number) for number in range(100)}
    assert heard.empty()
    await database.close()


async def test_changes_are_looked_for_where_they_are_not_told(pooler: Pooler, name: str) -> None:
    database = await Database.open(_in(pooler.url, name))
    async with Listener(database.direct) as listener, asyncio.timeout(20):
        assert await anext(listener) == ""
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.5):
                await anext(listener)
        await _commit(database)
        async with asyncio.timeout(5):
            assert await anext(listener) == ""
    await database.close()


async def test_a_direct_address_leads_past_the_pooler(
    server: Postgres, pooler: Pooler, name: str
) -> None:
    database = await Database.open(_in(pooler.url, name), direct_url=_in(server.url, name))
    facts = await database.facts()
    assert (facts.is_pooled, facts.listens) == (True, True)
    async with Listener(database.direct) as listener:
        async with database.transaction() as c:
            await live.announce(c, "board")
        async with asyncio.timeout(5):
            assert await anext(listener) == "board"
    await database.close()


async def test_two_addresses_of_two_databases_are_refused(
    server: Postgres, pooler: Pooler, name: str
) -> None:
    with pytest.raises(MigrationError, match="two different databases"):
        await Database.open(_in(pooler.url, name), direct_url=server.url)


async def test_a_pooler_that_keeps_sessions_is_as_good_as_none(
    server: Postgres, name: str, enterable_dir: Path
) -> None:
    folder = Path(tempfile.mkdtemp(dir=enterable_dir))
    with Pooler(server, folder, "session") as pooler:
        database = await Database.open(_in(pooler.url, name), pool_size=2)
        facts = await database.facts()
        assert (facts.is_pooled, facts.listens) == (True, True)
        await _commit(database)
        await database.close()


async def test_after_a_restart_behind_the_pooler_it_goes_on(
    server: Postgres, pooler: Pooler, name: str
) -> None:
    database = await Database.open(_in(pooler.url, name))
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(database.watch(stop))
        await _commit(database)
        await asyncio.to_thread(server.restart, "immediate")
        async with asyncio.timeout(10):
            while True:
                try:
                    await _commit(database)
                except Unavailable:
                    await asyncio.sleep(0.1)
                else:
                    break
        stop.set()
    await database.close()
