"""An external PostgreSQL: the shipped programs on a TCP port, as somebody else would run them.

with Postgres(folder) as database:
    Replica(..., database_url=database.url)
    database.restart("immediate")
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
from typing import TYPE_CHECKING, Literal, Self

from tests.proof.places import (
    Trouble,
    alive,
    family,
    free_port,
    kill_family,
    query,
    signal_all,
    wait_for,
)
from tocsin.store.embedded import leftovers
from tocsin.store.embedded.account import account_for
from tocsin.store.embedded.binaries import installation_for

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    import asyncpg

Stop = Literal["smart", "fast", "immediate", "kill"]
_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "64MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "io_method": "sync",
    "jit": "off",
    "huge_pages": "off",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Postgres:
    """One server. ``environment`` reaches it and its children only, never initdb."""

    def __init__(
        self, folder: Path, settings: dict[str, str] | None = None, **environment: str
    ) -> None:
        self.folder = folder
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        folder.chmod(0o711)
        self.cluster = folder / "cluster"
        self.log = folder / "postgres.log"
        self.port = free_port()
        self.environment = environment
        self.settings = {**_SETTINGS, **(settings or {})}
        self._password = secrets.token_urlsafe(18)
        self._process: subprocess.Popen[bytes] | None = None
        found = account_for(self.cluster)
        assert found is not None, "root, and no user to run PostgreSQL"
        self._account = found
        self._installation = installation_for(found)

    @property
    def url(self) -> str:
        return f"postgresql://tocsin:{self._password}@127.0.0.1:{self.port}/tocsin"

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def is_ready(self) -> bool:
        """Say whether it accepts connections, by its own note."""
        note = leftovers.note(self.cluster)
        return len(note) >= 8 and note[0] == str(self.pid) and note[7].strip() == "ready"

    def start(self, *, wait: bool = True) -> Self:
        """Start it, making it and its database first when there is none."""
        assert self.pid is None, "it runs"
        first = not self.cluster.exists()
        if first:
            self._initialise()
        else:
            leftovers.clear(self.cluster)
        settings = {**self.settings, "port": str(self.port)}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(self._installation / "bin" / "postgres"),
                    *("-D", str(self.cluster)),
                    *(f"--{name}={value}" for name, value in settings.items()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"LC_ALL": "C", "PATH": "/usr/bin:/bin", "TZ": "UTC", **self.environment},
                **self._identity(),
            )
        if wait or first:
            self.wait_until_ready()
        if first:
            self.query("CREATE DATABASE tocsin", database="postgres")
        return self

    def wait_until_ready(self, seconds: float = 60) -> None:
        def ready() -> bool:
            if self.pid is None:
                raise Trouble(f"PostgreSQL did not start: see {self.log}")
            return self.is_ready

        wait_for(ready, seconds, f"PostgreSQL to be ready ({self.log})")

    def stop(self, how: Stop = "fast", seconds: float = 60) -> None:
        """Stop it; returns when it is gone. Stopping what does not run is no error."""
        process, pid = self._process, self.pid
        if process is None or pid is None:
            return
        if how == "kill":
            kill_family(pid)
        else:
            process.send_signal(_SIGNALS[how])
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            kill_family(pid)
            process.wait()
            raise Trouble(f"PostgreSQL did not stop ({how}) within {seconds:g} s") from None

    def restart(self, how: Stop = "fast", *, wait: bool = True) -> None:
        self.stop(how)
        self.start(wait=wait)

    def freeze(self) -> None:
        """Stop it and its children in their tracks (SIGSTOP), connections open and deaf."""
        assert self.pid is not None
        signal_all([self.pid], signal.SIGSTOP)
        signal_all(family(self.pid), signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.pid is not None
        signal_all(family(self.pid), signal.SIGCONT)

    def query(self, sql: str, *arguments: object, database: str = "tocsin") -> list[asyncpg.Record]:
        """Ask one question on a connection of its own; for callers without a running loop."""
        url = f"{self.url.removesuffix('/tocsin')}/{database}"
        return asyncio.run(query(url, sql, *arguments))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.pid is not None and alive(self.pid):
            self.thaw()
            with contextlib.suppress(Trouble):
                self.stop("immediate", 20)

    def _initialise(self) -> None:
        self.cluster.mkdir(0o700)
        note = self.folder / "password"
        note.touch(0o600)
        note.write_text(self._password)
        note.chmod(0o400)
        if self._account.dropped:
            os.chown(self.cluster, self._account.uid, self._account.gid)
            os.chown(note, self._account.uid, self._account.gid)
        done = subprocess.run(
            [
                str(self._installation / "bin" / "initdb"),
                *("-D", str(self.cluster), "-U", "tocsin", f"--pwfile={note}"),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"),
                *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
            **self._identity(),
        )
        if done.returncode:
            raise Trouble(f"initdb: {done.stderr}")

    def _identity(self) -> dict:
        """How the programs are started: as the user that PostgreSQL accepts, apart from us."""
        found: dict = {"cwd": "/", "umask": 0o077, "start_new_session": True}
        if self._account.dropped:
            found.update(
                user=self._account.uid,
                group=self._account.gid,
                extra_groups=self._account.groups,
            )
        return found
