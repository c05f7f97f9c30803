"""The embedded database in a hostile world: full and read-only disks, strange names, lost files."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.store.processes import as_user
from tests.store.samples import AT
from tocsin.core.inputs import TimerFired
from tocsin.store import inbox
from tocsin.store.database import Database, Unavailable
from tocsin.store.embedded import Embedded, EmbeddedError
from tocsin.store.embedded.directory import DataDirectory

pytestmark = pytest.mark.anyio
MIB = 1_048_576


@pytest.fixture
def place(enterable_dir: Path) -> Path:
    folder = Path(tempfile.mkdtemp(dir=enterable_dir))
    folder.chmod(0o711)
    return folder


@contextlib.contextmanager
def _small_disk(place: Path, mib: int) -> Iterator[Path]:
    disk = place / "disk"
    disk.mkdir()
    size = f"size={mib}m,mode=711"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tocsin-test", disk], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def _fill(disk: Path, leave_mib: int = 0) -> Path:
    """Fill a disk to the last byte, or but for a few MiB; return the file that fills it."""
    filler = disk / "filler"
    free = os.statvfs(disk)
    wanted = free.f_bavail * free.f_frsize - leave_mib * MIB
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while wanted > 0:
            wanted -= file.write(bytes(min(MIB, wanted)))
        while not leave_mib:
            file.write(bytes(4096))
    return filler


@contextlib.asynccontextmanager
async def _kept(server: Embedded) -> AsyncIterator[Database]:
    """A database whose supervisor and watch run, as in a server."""
    database = await Database.open(server.url)
    stop = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.keep(stop))
            tasks.create_task(database.watch(stop))
            try:
                yield database
            finally:
                stop.set()
    finally:
        await database.close()


async def _commit(database: Database, stream: str = "desk/api", size: int = 1) -> None:
    async with database.transaction() as c:
        await inbox.append(c, [(stream, TimerFired("t" * size, AT))])


async def _until_it_commits(database: Database, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while True:
            try:
                await _commit(database)
            except Unavailable:
                await asyncio.sleep(0.1)
            else:
                return


async def _count(database: Database) -> int:
    async with database.reading() as c:
        return int(await c.fetchval("SELECT count(*) FROM inbox"))


@pytest.mark.parametrize(
    "name",
    [
        "Störfälle 事故 🔔",
        "per%cent and $HOME and `id` and \\ back",
        'it\'s; a "name", with = all &? of it#',
        "-D",
        "ü" * 100,
    ],
)
async def test_a_directory_may_be_called_anything(place: Path, name: str) -> None:
    data = place / name
    for expected in (0, 1):
        server = await Embedded.start(data)
        database = await Database.open(server.url)
        assert await _count(database) == expected
        await _commit(database)
        await database.close()
        await server.stop()


@pytest.mark.mounts
async def test_a_disk_too_small_for_a_database_is_said_and_left_as_it_was(place: Path) -> None:
    with _small_disk(place, 12) as disk:
        with pytest.raises(EmbeddedError, match="No space left on device") as caught:
            await Embedded.start(disk / "data")
        assert "\n" not in str(caught.value)
        assert not (disk / "data").exists()


@pytest.mark.mounts
async def test_a_disk_without_any_room_is_said(place: Path) -> None:
    with _small_disk(place, 1) as disk:
        _fill(disk)
        with pytest.raises(
            EmbeddedError, match=r"No space left on device|cannot be made"
        ) as caught:
            await Embedded.start(disk / "data")
        assert str(disk) in str(caught.value)


@pytest.mark.mounts
async def test_a_full_disk_at_a_later_start_is_said_and_costs_nothing(place: Path) -> None:
    with _small_disk(place, 200) as disk:
        server = await Embedded.start(disk / "data")
        database = await Database.open(server.url)
        await _commit(database)
        await database.close()
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        await server.stop()
        filler = _fill(disk)
        with pytest.raises(EmbeddedError, match=r"No space left on device") as caught:
            await Embedded.start(disk / "data")
        assert "\n" not in str(caught.value)
        filler.unlink()
        server = await Embedded.start(disk / "data")
        database = await Database.open(server.url)
        assert await _count(database) == 1
        await database.close()
        await server.stop()


@pytest.mark.mounts
async def test_a_disk_that_fills_up_ends_in_unavailable_and_mends_itself(place: Path) -> None:
    with _small_disk(place, 150) as disk:
        server = await Embedded.start(disk / "data")
        committed = 0
        async with _kept(server) as database:
            await _commit(database)
            filler = _fill(disk, leave_mib=2)

            async def write_until_it_is_full() -> None:
                nonlocal committed
                while True:
                    await _commit(database, size=200_000)
                    committed += 1

            async with asyncio.timeout(60):
                with pytest.raises(Unavailable):
                    await write_until_it_is_full()
            filler.unlink()
            await _until_it_commits(database, 30)
            assert await _count(database) == committed + 2
        await server.stop()


@pytest.mark.mounts
async def test_a_read_only_disk_is_said(place: Path) -> None:
    with _small_disk(place, 100) as disk:
        server = await Embedded.start(disk / "data")
        await server.stop()
        await asyncio.to_thread(
            subprocess.run, ["mount", "-o", "remount,ro", str(disk)], check=True
        )
        with pytest.raises(EmbeddedError, match="read-only"):
            await Embedded.start(disk / "data")
        with pytest.raises(EmbeddedError, match=r"Read-only|read-only"):
            await Embedded.start(disk / "another")


async def test_a_directory_that_is_removed_under_it_is_missed_and_not_made_anew(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = place / "data"
    server = await Embedded.start(data)
    async with _kept(server) as database:
        await _commit(database)
        (data / "postgres").rename(place / "aside")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGQUIT)
        async with asyncio.timeout(20):
            while "is gone" not in caplog.text:
                await asyncio.sleep(0.05)
        with pytest.raises(Unavailable):
            await _commit(database)
        assert not (data / "postgres").exists()
        # Put back, it is found again by itself, with what is in it.
        (place / "aside").rename(data / "postgres")
        await _until_it_commits(database, 20)
        assert await _count(database) == 2
    await server.stop()


async def test_a_killed_postmaster_leaves_no_children_behind(place: Path) -> None:
    server = await Embedded.start(place / "data")
    async with _kept(server) as database:
        await _commit(database)
        first = server.pid
        assert first is not None
        busy = asyncio.ensure_future(_sleep_in(server.url))
        await asyncio.sleep(0.3)
        os.kill(first, signal.SIGKILL)
        # A backend that was left behind may commit for a moment yet.
        async with asyncio.timeout(20):
            while server.pid in (None, first):
                await asyncio.sleep(0.05)
        await _until_it_commits(database, 20)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await busy
    await server.stop()
    assert _working_in(place / "data" / "postgres") == []


async def test_a_server_that_neither_serves_nor_recovers_is_started_again(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = await Embedded.start(place / "data")
    first = server.pid
    note = place / "data" / "postgres" / "postmaster.pid"
    async with _kept(server) as database:
        await _commit(database)
        # As it stands there when recovery failed and the server did not notice: nobody recovers.
        note.write_text(note.read_text().replace("ready   ", "starting"))
        async with asyncio.timeout(40):
            while server.pid in (None, first):
                await asyncio.sleep(0.1)
        await _until_it_commits(database, 20)
        assert await _count(database) == 2
    assert "nobody can reach it" in caplog.text
    await server.stop()


async def test_a_server_whose_socket_was_removed_is_started_again(place: Path) -> None:
    server = await Embedded.start(place / "data")
    first = server.pid
    async with _kept(server) as database:
        await _commit(database)
        shutil.rmtree(place / "data" / "socket")
        async with asyncio.timeout(40):
            while server.pid in (None, first):
                await asyncio.sleep(0.1)
        await _until_it_commits(database, 20)
        assert await _count(database) == 2
    await server.stop()


async def _sleep_in(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("SELECT pg_sleep(60)")


def _working_in(cluster: Path) -> list[str]:
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdigit() and os.readlink(process / "cwd") == str(cluster):
                found.append(process.name)
    return found


@pytest.mark.root_only
async def test_nobody_else_gets_in_even_with_the_password(place: Path) -> None:
    server = await Embedded.start(place / "data")
    url = server.url

    def try_it() -> None:
        async def knock() -> None:
            with pytest.raises((OSError, asyncpg.PostgresError)):
                await asyncpg.connect(url, timeout=5)

        asyncio.run(knock())
        for secret in ("postgres.password", "postgres.log", "postgres/pg_hba.conf", "lock"):
            with pytest.raises(PermissionError):
                (place / "data" / secret).read_bytes()

    try:
        assert as_user("games", try_it) == ""
    finally:
        await server.stop()


async def test_a_start_that_fails_leaves_what_others_keep_there(place: Path) -> None:
    data = place / "data"
    data.mkdir(0o700)
    (data / "notes.txt").write_text("mine")
    server = await Embedded.start(data)
    await server.discard_if_new()
    assert {path.name for path in data.iterdir()} == {"lock", "notes.txt"}
    again = await Embedded.start(data)
    await again.stop()
    later = await Embedded.start(data)
    # What a former start made is never discarded.
    await later.discard_if_new()
    assert (data / "postgres" / "PG_VERSION").is_file()


def test_a_log_that_grew_long_is_set_aside_while_it_is_written(place: Path) -> None:
    from tocsin.store.embedded.account import account_for

    account = account_for(place / "postgres")
    assert account is not None
    directory = DataDirectory(place, account)
    writer = directory.open_log()
    try:
        os.write(writer, bytes(11 * MIB))
        directory.trim_log()
        assert directory.log.stat().st_size == 0
        os.write(writer, b"on\n")
        assert directory.log.read_bytes() == b"on\n"
        assert directory.log.with_suffix(".log.old").stat().st_size == 11 * MIB
    finally:
        os.close(writer)
    shutil.rmtree(place)
