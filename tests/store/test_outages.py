"""What the database does to us: restarts, crashes, failovers, and networks that say nothing."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.fakes.network import Network
from tests.proof.postgres import Postgres, Stop
from tests.store.samples import AT
from tocsin.core.inputs import TimerFired
from tocsin.store import inbox, jobs, live
from tocsin.store.database import Database, Unavailable
from tocsin.store.live import Listener

pytestmark = pytest.mark.anyio
BACK_S_MAX = 8.0
HEARD_S_MAX = 12.0


@pytest.fixture(scope="module")
def server(enterable_dir: Path) -> Iterator[Postgres]:
    with Postgres(Path(tempfile.mkdtemp(dir=enterable_dir))) as running:
        yield running


@pytest.fixture(scope="module")
def other_server(enterable_dir: Path, server: Postgres) -> Iterator[Postgres]:
    """Another one that lets in the same people, as a standby would."""
    other = Postgres(Path(tempfile.mkdtemp(dir=enterable_dir)))
    other._password = server._password
    with other as running:
        yield running


def _through(server: Postgres, *networks: Network) -> str:
    hosts = ",".join(f"127.0.0.1:{network.port}" for network in networks)
    return urlsplit(server.url)._replace(netloc=f"{_identity(server)}@{hosts}").geturl()


def _identity(server: Postgres) -> str:
    return urlsplit(server.url).netloc.rpartition("@")[0]


@contextlib.asynccontextmanager
async def _watched(url: str) -> AsyncIterator[Database]:
    database = await Database.open(url)
    stop = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(database.watch(stop))
            try:
                yield database
            finally:
                stop.set()
    finally:
        await database.close()


async def _commit(database: Database) -> None:
    async with database.transaction() as c:
        await inbox.append(c, [("desk/api", TimerFired("t", AT))])


async def _committed_again(database: Database) -> float:
    """Try to commit until that works; return how many seconds it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        try:
            await _commit(database)
        except Unavailable:
            assert loop.time() - began < 30
            await asyncio.sleep(0.05)
        else:
            return loop.time() - began


async def _refused(database: Database) -> float:
    """Try to commit; return how many seconds it took to hear that this does not work."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(Unavailable):
        await _commit(database)
    return loop.time() - began


async def _ask_after(database: Database, *acts: Callable[[], None]) -> None:
    """Do something to the network in the middle of a transaction, then go on with that."""
    async with database.transaction() as c:
        for act in acts:
            act()
        await c.execute("SELECT 1")


async def _fall_silent(database: Database) -> None:
    async with database.transaction() as c:
        await asyncio.sleep(6)
        await c.execute("SELECT 1")


async def _until_shut(database: Database) -> None:
    async with asyncio.timeout(HEARD_S_MAX):
        while not database.direct.why_shut:
            await asyncio.sleep(0.05)


async def test_a_silent_network_is_noticed_and_whoever_waits_is_told(server: Postgres) -> None:
    loop = asyncio.get_running_loop()
    async with (
        Network("127.0.0.1", server.port) as network,
        _watched(_through(server, network)) as database,
    ):
        await _commit(database)
        began = loop.time()
        with pytest.raises(Unavailable):
            await _ask_after(database, network.swallow)
        assert loop.time() - began < HEARD_S_MAX
        await _until_shut(database)
        # From now on nobody waits at all.
        assert await _refused(database) < 0.5
        network.heal()
        assert await _committed_again(database) < BACK_S_MAX


async def test_a_frozen_server_is_noticed_and_found_again(server: Postgres) -> None:
    async with _watched(server.url) as database:
        await _commit(database)
        server.freeze()
        try:
            assert await _refused(database) < HEARD_S_MAX
            await _until_shut(database)
            assert await _refused(database) < 0.5
        finally:
            server.thaw()
        assert await _committed_again(database) < BACK_S_MAX


async def test_an_address_that_moves_leaves_nobody_behind(server: Postgres) -> None:
    """The old connections are deaf, new ones work: nobody closes anything."""
    loop = asyncio.get_running_loop()
    async with (
        Network("127.0.0.1", server.port) as network,
        _watched(_through(server, network)) as database,
    ):
        began = loop.time()
        with pytest.raises(Unavailable):
            await _ask_after(database, network.swallow, network.heal)
        assert loop.time() - began < HEARD_S_MAX + 3
        assert await _committed_again(database) < BACK_S_MAX


@pytest.mark.parametrize("how", ["fast", "immediate", "kill"])
async def test_after_a_restart_all_goes_on_promptly(server: Postgres, how: Stop) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    stop = asyncio.Event()

    async def handle(payload: str) -> None:
        heard.put_nowait(payload)

    async with (
        _watched(server.url) as database,
        Listener(database.direct) as listener,
        asyncio.TaskGroup() as tasks,
    ):
        await _commit(database)
        tasks.create_task(jobs.run(database.direct, {"timer": handle, "delivery": handle}, stop))
        await asyncio.to_thread(server.restart, how)
        assert await _committed_again(database) < BACK_S_MAX
        async with asyncio.timeout(BACK_S_MAX):
            assert await anext(listener) == ""
        async with database.transaction() as c:
            await jobs.enqueue(c, [("timer", how, 0 * _SECOND)])
            await live.announce(c, how)
        async with asyncio.timeout(BACK_S_MAX):
            assert await heard.get() == how
            assert await anext(listener) == how
        stop.set()


_SECOND = AT - AT


async def test_a_long_outage_is_answered_at_once_and_ends_in_seconds(server: Postgres) -> None:
    async with _watched(server.url) as database:
        await _commit(database)
        await asyncio.to_thread(server.stop, "fast")
        try:
            await _until_shut(database)
            for _ in range(20):
                assert await _refused(database) < 0.5
                await asyncio.sleep(0.1)
        finally:
            await asyncio.to_thread(server.start)
        assert await _committed_again(database) < BACK_S_MAX


async def test_of_two_servers_the_one_that_takes_writes_is_used(
    server: Postgres, other_server: Postgres
) -> None:
    await (await Database.open(other_server.url)).close()
    await (await Database.open(server.url)).close()
    async with (
        Network("127.0.0.1", server.port) as first,
        Network("127.0.0.1", other_server.port) as second,
    ):
        url = f"{_through(server, first, second)}?target_session_attrs=read-write"
        await _make_read_only(server, True)
        try:
            async with _watched(url) as database:
                assert await _port(database) == other_server.port
                # The roles change: what led to the other one is of no use any more.
                await _make_read_only(server, False)
                await _make_read_only(other_server, True)
                async with asyncio.timeout(HEARD_S_MAX):
                    while await _port(database) != server.port:
                        await _committed_again(database)
                # The network to the one in use falls silent, and the other takes over.
                await _make_read_only(other_server, False)
                first.swallow()
                assert await _refused(database) < HEARD_S_MAX
                assert await _committed_again(database) < BACK_S_MAX
                assert await _port(database) == other_server.port
        finally:
            await _make_read_only(server, False)
            await _make_read_only(other_server, False)


async def test_a_server_that_only_reads_is_not_there(server: Postgres) -> None:
    async with _watched(server.url) as database:
        await _commit(database)
        await _make_read_only(server, True)
        try:
            await _until_shut(database)
            with pytest.raises(Unavailable, match="only reads"):
                await _commit(database)
        finally:
            await _make_read_only(server, False)
        assert await _committed_again(database) < BACK_S_MAX


async def test_a_server_that_has_no_connection_left_is_still_there(server: Postgres) -> None:
    owner = await asyncpg.connect(server.url)
    await owner.execute("CREATE ROLE small LOGIN PASSWORD 'small' CONNECTION LIMIT 2")
    await owner.execute("CREATE DATABASE small OWNER small TEMPLATE template0")
    await owner.close()
    url = f"postgresql://small:small@127.0.0.1:{server.port}/small"
    database = await Database.open(url, pool_size=1)
    await _commit(database)
    greedy = await asyncpg.connect(url)
    stop, answered = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(database.watch(stop, answered.set))
        async with asyncio.timeout(5):
            await answered.wait()
        assert database.direct.why_shut == ""
        await _commit(database)
        stop.set()
    await greedy.close()
    await database.close()


async def test_a_database_that_is_late_is_waited_for(server: Postgres) -> None:
    await asyncio.to_thread(server.stop, "fast")
    opening = asyncio.ensure_future(Database.open(server.url, wait_s=30))
    await asyncio.sleep(0.5)
    assert not opening.done()
    await asyncio.to_thread(server.start)
    database = await opening
    await _commit(database)
    await database.close()


async def test_a_wrong_password_is_not_waited_for(server: Postgres) -> None:
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable, match="password"):
            await Database.open(server.url.replace("@", "x@"), wait_s=30)


async def test_whoever_says_nothing_in_a_transaction_is_ended(server: Postgres) -> None:
    database = await Database.open(server.url)
    with pytest.raises(Unavailable, match="the connection was lost"):
        await _fall_silent(database)
    async with database.transaction(patience_s=30) as c:
        await asyncio.sleep(6)
        assert await c.fetchval("SHOW statement_timeout") == "30s"
    await database.close()


async def _make_read_only(server: Postgres, only: bool) -> None:
    connection = await asyncpg.connect(server.url)
    await connection.execute("SET transaction_read_only = off")
    await connection.execute("SET default_transaction_read_only = off")
    await connection.execute(
        f"ALTER SYSTEM SET default_transaction_read_only = {'on' if only else 'off'}"
    )
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()


async def _port(database: Database) -> int:
    async with database.reading() as c:
        return int(await c.fetchval("SELECT inet_server_port()"))
