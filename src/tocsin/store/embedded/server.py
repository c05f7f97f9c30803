"""Starting, watching and stopping the embedded PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self
from urllib.parse import quote

import asyncpg

from tocsin.store.embedded import leftovers
from tocsin.store.embedded.account import Account, account_for
from tocsin.store.embedded.binaries import MAJOR, installation_for
from tocsin.store.embedded.directory import SOCKET_NAME, DataDirectory
from tocsin.store.embedded.errors import EmbeddedError
from tocsin.store.statements import statements

_SQL = statements("embedded")
_LOG = logging.getLogger(__name__)
_ROLE = "tocsin"
_DATABASE = "tocsin"
# Crash recovery replays what was written since the last checkpoint; it may take its time.
_START_S_MAX = 120.0
_STOP_S_MAX = 30.0
_INITDB_S_MAX = 120.0
_LOOK_EVERY_S = 0.005
_WATCH_EVERY_S = 0.25
_LOOKS_UNTIL_TRIM = 240
_LOOKS_UNTIL_PULSE = 20
_RESTART_AFTER_S = (0.0, 0.5, 2.0, 5.0)
# Nothing of ours, or of the person who starts us, leaks into the database's process.
_ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin", "TZ": "UTC"}
# Small, since it serves one application; durable, since 2xx means durable.
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "32MB",
    "max_connections": "50",
    "work_mem": "4MB",
    "maintenance_work_mem": "32MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "256MB",
    "min_wal_size": "32MB",
    "io_method": "sync",
    "jit": "off",
    "max_parallel_workers": "0",
    "max_logical_replication_workers": "0",
    "huge_pages": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_line_prefix": "%m [%p] ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Embedded:
    """A running PostgreSQL of ours. ``url`` opens its database, and holds its password."""

    def __init__(self, directory: DataDirectory, account: Account) -> None:
        self._directory = directory
        self._account = account
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_directory: Path | None = None
        self._is_new = False
        self._is_stuck = False
        self.url = ""

    def __repr__(self) -> str:
        """Say where it is, not how to open it."""
        return f"Embedded({str(self._directory.root)!r})"

    @property
    def pid(self) -> int | None:
        """Return its process, or None while it does not run."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @classmethod
    async def start(cls, data: Path) -> Self:
        """Start the database kept in ``data``, making it when there is none.

        Returns once it accepts connections. Raises EmbeddedError with one clear sentence.
        """
        server = await asyncio.to_thread(cls._for, data)
        starting = asyncio.ensure_future(asyncio.to_thread(server.open))
        try:
            await asyncio.shield(starting)
            await server.make_database()
        except BaseException:
            # Also when we are cancelled: what a thread has begun to start must not stay behind.
            with contextlib.suppress(EmbeddedError):
                await starting
            await server.discard_if_new()
            raise
        return server

    @classmethod
    def _for(cls, data: Path) -> Self:
        account = account_for(data.absolute() / "postgres")
        if account is None:
            raise EmbeddedError(
                "PostgreSQL refuses to run as root, and there is no user 'tocsin', 'postgres' or "
                "'nobody' here to run it: add one, or set DATABASE_URL to a PostgreSQL of yours."
            )
        return cls(DataDirectory(data, account), account)

    async def stop(self) -> None:
        """Stop it: clients are sent off, everything is written. Stopping twice is no error."""
        await asyncio.to_thread(self._close)

    async def discard_if_new(self) -> None:
        """Stop it, and leave nothing behind if this start made it: nobody has kept anything in it."""
        await asyncio.to_thread(self._close, discard=self._is_new)

    async def keep(self, stop: asyncio.Event) -> None:
        """Start it again whenever it dies, until ``stop`` is set.

        Whoever uses the database sees Unavailable meanwhile. Failures to start are logged, and
        tried again.
        """
        failures = looks = 0
        said = ""
        while not stop.is_set():
            after_s = _RESTART_AFTER_S[min(failures, len(_RESTART_AFTER_S) - 1)]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_WATCH_EVERY_S if self.pid is not None else after_s):
                    await stop.wait()
            if stop.is_set():
                return
            if self.pid is not None:
                looks += 1
                try:
                    if looks % _LOOKS_UNTIL_TRIM == 0:
                        await asyncio.to_thread(self._directory.trim_log)
                    if looks % _LOOKS_UNTIL_PULSE == 0:
                        await asyncio.to_thread(self._end_if_stuck)
                except OSError as error:
                    _LOG.warning("The embedded database cannot be looked after: %s.", error)
                continue
            failures += 1
            try:
                await asyncio.to_thread(self._run_again)
            except (EmbeddedError, OSError) as error:
                # The same words every five seconds would only hide others.
                if str(error) != said:
                    said = str(error)
                    _LOG.error("The embedded database has died. %s Trying again.", error)
            else:
                _LOG.warning("The embedded database had died and was started again.")
                failures, said = 0, ""

    def open(self) -> None:
        """Hold the directory and run its server. Blocks; ``start`` calls it in a thread."""
        self._directory.prepare()
        self._directory.hold()
        try:
            self._run()
        except OSError as error:
            raise EmbeddedError(
                f"The embedded database cannot run in {self._directory.root}: {error}."
            ) from error

    def _end_if_stuck(self) -> None:
        """End a server that lives and that nobody can reach, seen twice in a row.

        It neither serves nor recovers, or its socket was removed, as those do who clean up /tmp.
        """
        was_stuck, self._is_stuck = (
            self._is_stuck,
            not leftovers.is_serving_or_recovering(self._directory.cluster)
            or not self._has_socket(),
        )
        process = self._process
        if was_stuck and self._is_stuck and process is not None:
            _LOG.error("The embedded database lives, but nobody can reach it: ending it.")
            self._is_stuck = False
            process.send_signal(signal.SIGQUIT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5.0)
                return
            process.kill()

    def _has_socket(self) -> bool:
        where = self._socket_directory
        return where is not None and (where / SOCKET_NAME).exists()

    def _run_again(self) -> None:
        """Run the server of what is there; where nothing is, make nothing new in its place."""
        if not self._directory.cluster.exists():
            raise EmbeddedError(
                f"{self._directory.cluster} is gone: something removed it while Tocsin ran. Put it "
                "back, or stop Tocsin and start it again on a new database."
            )
        self._run()

    def _run(self) -> None:
        """Make the cluster if there is none, start its server, and wait until it accepts."""
        installation = installation_for(self._account)
        password = self._directory.password()
        cluster = self._directory.cluster
        if cluster.exists():
            self._must_be_our_version()
            leftovers.clear(cluster)
        else:
            self._initialise(installation, password)
        self._socket_directory = self._directory.socket_directory()
        leftovers.clear_sockets(self._socket_directory)
        self._spawn(installation)
        socket = quote(str(self._socket_directory), safe="")
        self.url = f"postgresql://{_ROLE}:{quote(password)}@/{_DATABASE}?host={socket}&port=5432"

    def _must_be_our_version(self) -> None:
        version = self._directory.cluster / "PG_VERSION"
        try:
            major = version.read_text("ascii").strip()
        except OSError as error:
            raise EmbeddedError(
                f"{self._directory.cluster} is no PostgreSQL database: {error.strerror} ({version})."
            ) from error
        if major != str(MAJOR):
            raise EmbeddedError(
                f"The database in {self._directory.cluster} was made by PostgreSQL {major}, and "
                f"this Tocsin brings {MAJOR}: start the Tocsin that made it."
            )

    def _initialise(self, installation: Path, password: str) -> None:
        # Made under another name and renamed when it is whole and on the disk, so that a crash
        # half-way leaves nothing that looks like a database.
        self._is_new = True
        for unfinished in self._directory.unfinished():
            shutil.rmtree(unfinished, ignore_errors=True)
        building = self._directory.building
        building.mkdir(0o700)
        self._give_away(building)
        initdb = str(installation / "bin" / "initdb")
        where = ["-D", str(building)]
        with tempfile.TemporaryDirectory(prefix="tocsin-") as folder:
            # The user who runs initdb must read the password, and may not enter where it is kept.
            Path(folder).chmod(0o700)
            note = Path(folder) / "password"
            note.write_text(password, "ascii")
            note.chmod(0o400)
            self._give_away(note)
            self._give_away(Path(folder))
            self._program(
                [
                    *(initdb, *where, "-U", _ROLE, f"--pwfile={note}"),
                    *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
                    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                    *("--no-sync", "--no-instructions"),
                ]
            )
        self._program([initdb, *where, "--sync-only", "--no-instructions"])
        building.rename(self._directory.cluster)
        _sync_directory(self._directory.root)

    def _program(self, argv: Sequence[str]) -> None:
        try:
            done = subprocess.run(  # noqa: S603 - our own programs and paths
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_INITDB_S_MAX,
                check=False,
                cwd="/",
                env=_ENVIRONMENT,
                umask=0o077,
                user=self._account.uid if self._account.dropped else None,
                group=self._account.gid if self._account.dropped else None,
                extra_groups=self._account.groups if self._account.dropped else None,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise EmbeddedError(f"The embedded database cannot be made: {error}.") from error
        if done.returncode != 0:
            raise EmbeddedError(f"The embedded database cannot be made: {_gist(done.stdout)}")

    def _spawn(self, installation: Path) -> None:
        assert self._socket_directory is not None
        settings = {
            **_SETTINGS,
            # A list of paths; quoted, one may hold spaces and commas.
            "unix_socket_directories": '"' + str(self._socket_directory).replace('"', '""') + '"',
        }
        log = self._directory.open_log()
        said_before = os.fstat(log).st_size
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own program and settings
                [
                    str(installation / "bin" / "postgres"),
                    *("-D", str(self._directory.cluster)),
                    *(f"--{name}={value}" for name, value in settings.items()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=_ENVIRONMENT,
                umask=0o077,
                # Ctrl-C in the terminal is for us; we stop the database when we are done with it.
                start_new_session=True,
                user=self._account.uid if self._account.dropped else None,
                group=self._account.gid if self._account.dropped else None,
                extra_groups=self._account.groups if self._account.dropped else None,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise EmbeddedError(f"The embedded database cannot be started: {error}.") from error
        finally:
            os.close(log)
        self._wait_until_ready(said_before)

    def _wait_until_ready(self, said_before: int) -> None:
        assert self._process is not None
        ends = time.monotonic() + _START_S_MAX
        while time.monotonic() < ends:
            if self._process.poll() is not None:
                with self._directory.log.open("rb") as log:
                    log.seek(said_before)
                    raise EmbeddedError(f"The embedded database did not start: {_gist(log.read())}")
            note = leftovers.note(self._directory.cluster)
            if len(note) >= 8 and note[0] == str(self._process.pid) and note[7].strip() == "ready":
                return
            time.sleep(_LOOK_EVERY_S)  # noqa: TID251 - in a thread, for a process that cannot call us
        raise EmbeddedError(
            f"The embedded database did not start within {_START_S_MAX:.0f} s: see "
            f"{self._directory.log}."
        )

    async def make_database(self) -> None:
        """Make our database in a new cluster; the last part of ``start``."""
        maintenance = self.url.replace(f"@/{_DATABASE}?", "@/postgres?")
        try:
            connection = await asyncpg.connect(maintenance, timeout=10)
            try:
                if not await connection.fetchval(_SQL["database_exists"]):
                    await connection.execute(_SQL["create_database"])
            finally:
                await connection.close()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise EmbeddedError(f"The embedded database does not open: {error}.") from error

    def _close(self, *, discard: bool = False) -> None:
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            for number, wait_s in ((signal.SIGINT, _STOP_S_MAX), (signal.SIGQUIT, 5.0)):
                process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(wait_s)
                    break
            else:
                process.kill()
                process.wait()
        if self._socket_directory is not None:
            self._directory.forget_socket_directory(self._socket_directory)
            self._socket_directory = None
        if discard:
            self._directory.discard()
        self._directory.release()

    def _give_away(self, path: Path) -> None:
        if self._account.dropped:
            os.chown(path, self._account.uid, self._account.gid)


def _gist(said: bytes) -> str:
    """Return what a program's output comes to: its first complaint, else its last line."""
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    for mark in ("FATAL:", "PANIC:", "error:", "ERROR:"):
        for line in lines:
            if mark in line:
                return line.split(mark, 1)[1].strip().rstrip(".") + "."
    return (lines[-1].rstrip(".") if lines else "it said nothing") + "."


def _sync_directory(directory: Path) -> None:
    opened = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
