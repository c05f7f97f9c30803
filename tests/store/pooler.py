"""A real PgBouncer in front of a PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import pytest

from tests.proof.places import free_port, wait_for
from tests.proof.postgres import Postgres


class Pooler:
    """PgBouncer on a port of 127.0.0.1, in one of its modes, used as ``with``."""

    def __init__(self, server: Postgres, folder: Path, mode: str = "transaction") -> None:
        found = shutil.which("pgbouncer", path=f"{os.defpath}:/usr/sbin:/usr/local/sbin")
        if found is None:
            pytest.skip("pgbouncer is not installed")
        self.port = free_port()
        self.log = folder / "pgbouncer.log"
        identity, _, _ = urlsplit(server.url).netloc.rpartition("@")
        user, _, password = identity.partition(":")
        self.url = f"postgresql://{identity}@127.0.0.1:{self.port}/tocsin"
        (folder / "users").write_text(f'"{user}" "{password}"\n')
        (folder / "pgbouncer.ini").write_text(
            f"""[databases]
* = host=127.0.0.1 port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder / "users"}
pool_mode = {mode}
default_pool_size = 5
max_client_conn = 200
server_login_retry = 1
"""
        )
        self._arguments = [found, "-q", str(folder / "pgbouncer.ini")]
        self._account = server._account
        for path in (folder, folder / "users", folder / "pgbouncer.ini"):
            if self._account.dropped:
                os.chown(path, self._account.uid, self._account.gid)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        identity: dict = {}
        if self._account.dropped:
            identity = {"user": self._account.uid, "group": self._account.gid, "extra_groups": ()}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._arguments, stdout=log, stderr=log, cwd="/", **identity
            )
        wait_for(self._is_up, 10, f"pgbouncer to listen ({self.log})")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(10)

    def _is_up(self) -> bool:
        import socket

        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
