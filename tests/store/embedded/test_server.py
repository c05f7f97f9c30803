from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from tests.store.processes import as_user
from tests.store.samples import AT
from tocsin.core.inputs import TimerFired
from tocsin.store import inbox
from tocsin.store.database import Database, Unavailable
from tocsin.store.embedded import Embedded, EmbeddedError, reachable
from tocsin.store.embedded.account import account_for

pytestmark = pytest.mark.anyio
AS_ROOT = os.geteuid() == 0


@pytest.fixture
def place(enterable_dir: Path) -> Path:
    """A directory of this test's own, where the database's user may go."""
    folder = Path(tempfile.mkdtemp(dir=enterable_dir))
    folder.chmod(0o711)
    return folder


@pytest.fixture
async def server(place: Path, anyio_backend: str) -> AsyncIterator[Embedded]:
    started = await Embedded.start(place / "data")
    yield started
    await started.stop()


async def _remembers(url: str) -> bool:
    """Write something on the first call; say on later ones whether it is still there."""
    database = await Database.open(url)
    try:
        async with database.transaction() as c:
            known = bool(await inbox.waiting_streams(c))
            await inbox.append(c, [("desk/api", TimerFired("t", AT))])
        return known
    finally:
        await database.close()


async def _waiting(database: Database) -> list[str] | None:
    """Return the streams that wait, or None while the database is starting up."""
    try:
        async with database.reading() as c:
            return [queue.stream for queue in await inbox.waiting_streams(c)]
    except Unavailable:
        return None


def _socket_of(server: Embedded) -> Path:
    return Path(parse_qs(urlsplit(server.url).query)["host"][0]) / ".s.PGSQL.5432"


async def test_what_was_committed_is_there_after_a_restart(place: Path) -> None:
    for expected in (False, True):
        server = await Embedded.start(place / "data")
        assert server.pid is not None
        assert await _remembers(server.url) is expected
        await server.stop()
        assert server.pid is None
        await server.stop()


async def test_it_is_durable_and_small_and_hears_no_network(server: Embedded) -> None:
    connection = await asyncpg.connect(server.url)
    wanted = {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "listen_addresses": "",
        "max_connections": "50",
        "shared_buffers": "32MB",
        "jit": "off",
        "server_encoding": "UTF8",
        "password_encryption": "scram-sha-256",
        "TimeZone": "UTC",
    }
    shown = {name: await connection.fetchval(f"SHOW {name}") for name in wanted}
    await connection.close()
    assert shown == wanted


async def test_a_password_is_asked_for_even_through_the_socket(server: Embedded) -> None:
    host = str(_socket_of(server).parent)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(host=host, user="tocsin", database="tocsin", password="guess")


async def test_files_are_for_their_owners_only(server: Embedded, place: Path) -> None:
    data = place / "data"
    account = account_for(data / "postgres")
    assert account is not None
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in (data, *data.iterdir(), _socket_of(server).parent)
    }
    assert modes["postgres.password"] == 0o600
    assert modes["postgres.log"] == 0o600
    assert modes["lock"] == 0o600
    assert modes["postgres"] == 0o700
    assert modes[_socket_of(server).parent.name] == 0o700
    assert modes["data"] == (0o711 if AS_ROOT else 0o700)
    assert (data / "postgres").stat().st_uid == account.uid
    assert (data / "postgres.password").stat().st_uid == os.geteuid()


async def test_a_directory_that_all_may_write_into_is_refused(place: Path) -> None:
    data = place / "data"
    data.mkdir()
    data.chmod(0o777)
    with pytest.raises(EmbeddedError, match="chmod o-w"):
        await Embedded.start(data)
    assert not list(data.iterdir())


@pytest.mark.root_only
async def test_a_directory_of_somebody_else_is_refused(place: Path) -> None:
    data = place / "data"
    data.mkdir()
    os.chown(data, 12_345, 12_345)
    with pytest.raises(EmbeddedError, match="belongs to another user"):
        await Embedded.start(data)


async def test_a_link_in_the_place_of_the_lock_is_not_followed(place: Path) -> None:
    data, precious = place / "data", place / "precious"
    data.mkdir(0o711)
    precious.write_text("kept")
    (data / "lock").symlink_to(precious)
    with pytest.raises(EmbeddedError, match="lock cannot be opened"):
        await Embedded.start(data)
    assert precious.read_text() == "kept"


@pytest.mark.root_only
async def test_other_users_cannot_reach_the_socket(server: Embedded) -> None:
    path = str(_socket_of(server))

    def knock() -> None:
        with socket.socket(socket.AF_UNIX) as client, pytest.raises(PermissionError):
            client.connect(path)

    assert as_user("daemon", knock) == ""


@pytest.mark.root_only
def test_an_ordinary_user_runs_it_as_itself(enterable_dir: Path) -> None:
    home = Path(tempfile.mkdtemp(dir=enterable_dir))
    shutil.chown(home, "nobody")

    async def live() -> None:
        server = await Embedded.start(home / "data")
        assert (home / "data" / "postgres").stat().st_uid == os.geteuid()
        assert stat.S_IMODE((home / "data").stat().st_mode) == 0o700
        assert not await _remembers(server.url)
        await server.stop()

    assert as_user("nobody", lambda: asyncio.run(live())) == ""


async def test_a_second_server_on_one_directory_is_refused(server: Embedded, place: Path) -> None:
    with pytest.raises(EmbeddedError) as caught:
        await Embedded.start(place / "data")
    assert str(os.getpid()) in str(caught.value)
    assert str(place / "data") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not await _remembers(server.url)


async def test_after_a_refusal_and_a_stop_the_directory_is_free(place: Path) -> None:
    first = await Embedded.start(place / "data")
    with pytest.raises(EmbeddedError):
        await Embedded.start(place / "data")
    await first.stop()
    second = await Embedded.start(place / "data")
    await second.stop()


async def test_paths_may_be_long_and_have_spaces_commas_and_quotes(place: Path) -> None:
    data = place / "a b, 'c' \"d\"" / ("x" * 200)
    server = await Embedded.start(data)
    try:
        assert len(str(_socket_of(server))) <= 107
        assert not await _remembers(server.url)
        outside = _socket_of(server).parent
        assert outside.is_dir()
    finally:
        await server.stop()
    assert not outside.exists()


async def test_a_short_path_with_spaces_keeps_its_socket_inside(place: Path) -> None:
    server = await Embedded.start(place / 'a b "c"')
    try:
        assert _socket_of(server).is_relative_to(place)
        assert not await _remembers(server.url)
    finally:
        await server.stop()


async def test_a_note_that_names_somebody_else_does_not_block(place: Path) -> None:
    data = place / "data"
    server = await Embedded.start(data)
    await _remembers(server.url)
    note = (data / "postgres" / "postmaster.pid").read_text().splitlines()
    await server.stop()
    # As after a restart of the container: the number is alive, and is not PostgreSQL.
    with subprocess.Popen(["sleep", "60"]) as stranger:
        try:
            (data / "postgres" / "postmaster.pid").write_text(
                "\n".join([str(stranger.pid), *note[1:]]) + "\n"
            )
            again = await Embedded.start(data)
            assert await _remembers(again.url)
            await again.stop()
            assert stranger.poll() is None
        finally:
            stranger.kill()


async def test_a_note_that_names_another_postgres_does_not_stop_that_one(
    server: Embedded, place: Path
) -> None:
    mine = await Embedded.start(place / "mine")
    note = (place / "mine" / "postgres" / "postmaster.pid").read_text().splitlines()
    await mine.stop()
    (place / "mine" / "postgres" / "postmaster.pid").write_text(
        "\n".join([str(server.pid), *note[1:]]) + "\n"
    )
    again = await Embedded.start(place / "mine")
    await again.stop()
    assert server.pid is not None
    assert not await _remembers(server.url)


async def test_a_lock_beside_the_socket_that_names_somebody_else_does_not_block(
    server: Embedded, place: Path
) -> None:
    mine = await Embedded.start(place / "mine")
    socket_lock = _socket_of(mine).with_name(".s.PGSQL.5432.lock")
    kept = socket_lock.read_text().splitlines()
    await mine.stop()
    # As after kill -9 and a restart of the container: another process of the database's user.
    socket_lock.write_text("\n".join([str(server.pid), *kept[1:]]) + "\n")
    again = await Embedded.start(place / "mine")
    assert not await _remembers(again.url)
    await again.stop()
    assert server.pid is not None


_ORPHAN_MAKER = """
import asyncio, sys
from pathlib import Path
from tocsin.store.embedded import Embedded

async def main():
    server = await Embedded.start(Path(sys.argv[1]))
    print(server.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_after_kill_9_of_ours_the_orphan_is_taken_over(place: Path) -> None:
    data = place / "data"
    first = await Embedded.start(data)
    await _remembers(first.url)
    await first.stop()
    with subprocess.Popen(
        [sys.executable, "-c", _ORPHAN_MAKER, str(data)],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    ) as child:
        assert child.stdout is not None
        orphan = int(await asyncio.to_thread(child.stdout.readline))
        child.kill()
    os.kill(orphan, 0)  # It lives on; otherwise there would be nothing to take over.
    server = await Embedded.start(data)
    try:
        assert server.pid != orphan
        assert await _remembers(server.url)
    finally:
        await server.stop()


async def test_commits_survive_kill_9_of_the_database(place: Path) -> None:
    data = place / "data"
    server = await Embedded.start(data)
    await _remembers(server.url)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await server.stop()
    again = await Embedded.start(data)
    assert await _remembers(again.url)
    await again.stop()


async def test_a_database_that_dies_is_started_again_and_the_pool_finds_it(
    server: Embedded,
) -> None:
    database = await Database.open(server.url)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.keep(stop))
        async with database.transaction() as c:
            await inbox.append(c, [("desk/api", TimerFired("t", AT))])
        first = server.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        with pytest.raises(Unavailable):
            async with database.transaction() as c:
                await c.execute("SELECT pg_sleep(10)")
        async with asyncio.timeout(20):
            while server.pid in (None, first):
                await asyncio.sleep(0.05)
            while await _waiting(database) != ["desk/api"]:
                await asyncio.sleep(0.05)
        stop.set()
    await database.close()


async def test_a_half_made_database_is_made_again(place: Path) -> None:
    data = place / "data"
    server = await Embedded.start(data)
    await server.stop()
    (data / "postgres").rename(data / "postgres.new-0123abcd")
    again = await Embedded.start(data)
    assert not await _remembers(again.url)
    await again.stop()
    assert not list(data.glob("postgres.new-*"))


async def test_an_initdb_left_by_a_killed_start_does_not_write_into_the_next(place: Path) -> None:
    data = place / "data"
    with subprocess.Popen(
        [sys.executable, "-c", _ORPHAN_MAKER, str(data)],
        env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    ) as child:
        async with asyncio.timeout(30):
            while not (found := list(data.glob("postgres.new-*/base"))):
                await asyncio.sleep(0.002)
        child.kill()
    # Its initdb works on. The next start makes another place, and touches nothing of that one.
    server = await Embedded.start(data)
    try:
        assert not await _remembers(server.url)
        assert not found[0].exists()
    finally:
        await server.stop()


async def test_a_database_of_another_major_version_is_left_alone(place: Path) -> None:
    data = place / "data"
    server = await Embedded.start(data)
    await server.stop()
    (data / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedError, match=r"PostgreSQL 16.*brings 18"):
        await Embedded.start(data)


async def test_a_lost_password_is_said_and_nothing_is_overwritten(place: Path) -> None:
    data = place / "data"
    server = await Embedded.start(data)
    await server.stop()
    (data / "postgres.password").unlink()
    with pytest.raises(EmbeddedError, match=r"postgres\.password is missing"):
        await Embedded.start(data)
    assert not (data / "postgres.password").exists()


async def test_why_it_did_not_start_is_one_line_from_its_log(place: Path) -> None:
    data = place / "data"
    server = await Embedded.start(data)
    await server.stop()
    (data / "postgres" / "postgresql.conf").write_text("no_such_setting = on\n")
    with pytest.raises(EmbeddedError) as caught:
        await Embedded.start(data)
    assert "\n" not in str(caught.value)
    assert "postgresql.conf" in str(caught.value) or "no_such_setting" in str(caught.value)
    (data / "postgres" / "postgresql.conf").write_text("")
    again = await Embedded.start(data)
    await again.stop()


async def test_a_directory_behind_a_closed_door_is_named_and_stays_closed(place: Path) -> None:
    door = place / "closed"
    door.mkdir()
    door.chmod(0o700 if AS_ROOT else 0o600)
    before = stat.S_IMODE(door.stat().st_mode)
    try:
        with pytest.raises(EmbeddedError) as caught:
            await Embedded.start(door / "data")
        assert str(door) in str(caught.value)
        if AS_ROOT:
            assert "--data /var/lib/tocsin" in str(caught.value)
            assert reachable(door / "data") == door
            assert not (door / "data").exists()
        assert stat.S_IMODE(door.stat().st_mode) == before
    finally:
        door.chmod(0o700)


async def test_a_reachable_place_is_known_beforehand(place: Path) -> None:
    assert reachable(place / "not" / "yet" / "made") is None


async def test_our_own_directory_is_opened_just_enough(place: Path) -> None:
    (place / "data").mkdir()
    (place / "data").chmod(0o700)
    server = await Embedded.start(place / "data")
    await server.stop()
    assert stat.S_IMODE((place / "data").stat().st_mode) == (0o711 if AS_ROOT else 0o700)


async def test_a_file_where_the_directory_should_be_is_said(place: Path) -> None:
    (place / "data").write_text("not a directory")
    with pytest.raises(EmbeddedError, match="data directory"):
        await Embedded.start(place / "data")


async def test_a_start_that_is_cancelled_leaves_nothing_running(place: Path) -> None:
    starting = asyncio.ensure_future(Embedded.start(place / "data"))
    await asyncio.sleep(0.05)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    server = await Embedded.start(place / "data")
    await server.stop()
