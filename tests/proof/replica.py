"""``tocsin serve`` as a process to be killed, frozen and started again, always on one port.

deployment = deploy(folder, sink)
with Replica(folder, database_url=database.url) as one:
    one.kill(); one.start()
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

import httpx2

from tests.proof.places import ROOT, Trouble, alive, free_port, kill_family, wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from tests.proof.sink import Sink

START_S_MAX = 90.0
LADDER: Mapping[str, Sequence[int]] = {"P1": (5, 10), "P2": (20, 40), "P3": (60,)}
LEVELS = {"P0": "Critical", "P1": "High", "P2": "Medium", "P3": "Low"}
PEOPLE = {
    "on-call": "On-Call Engineer",
    "lead": "Team Lead",
    "manager": "Engineering Manager",
    "chief": "CTO",
}
"""Who can be paged: the name in the settings and in the sink's path, and the role."""


def deploy(
    folder: Path,
    sink: Sink,
    ladder: Mapping[str, Sequence[int]] = LADDER,
    *,
    repeat_every: str = "5m",
    settings: str = "",
) -> Path:
    """Write a runbook and its settings into ``folder``; return the runbook.

    An alert with the label severity "P1" pages the on-call engineer at once, and the team lead,
    the engineering manager and the CTO after so many seconds each, while it is not resolved; a
    level without a ladder pages the on-call engineer only.
    ``settings`` is more TOML, for the end of the file.
    """
    levels = "\n".join(f"### {level} - {name}\n- {name} things\n" for level, name in LEVELS.items())
    roles = list(PEOPLE.values())
    path = "\n".join(f"{n}. **{role}**: called in turn" for n, role in enumerate(roles, 1))
    rules = [f"- {level}: page the {roles[0]} immediately" for level in LEVELS]
    for level, delays in ladder.items():
        for role, delay_s in zip(roles[1:], delays, strict=False):
            rules.append(f"- {level}: page the {role} if not resolved in {delay_s} seconds")
    lines = "\n".join(rules)
    runbook = folder / "runbook.md"
    runbook.write_text(
        f"# Proof\n\n## Severity levels\n\n{levels}\n## Escalation\n\n### Escalation path\n\n"
        f"{path}\n\n### Escalation criteria\n\n{lines}\n"
    )
    (folder / "pager.secret").write_text("not-a-secret-but-signed-with\n")
    tables = [f'[paging]\nrepeat_every = "{repeat_every}"', '[outbound]\nallow = ["127.0.0.1"]']
    for name in PEOPLE:
        tables.append(f'[people.{name}]\ncontacts = ["webhook:{name}"]')
        tables.append(
            f'[webhooks.{name}]\nurl = "{sink.url}/{name}"\nsecret = {{ file = "pager.secret" }}'
        )
    holders = "\n".join(f'"{role}" = "{name}"' for name, role in PEOPLE.items())
    tables += [f"[roles]\n{holders}", settings]
    (folder / "tocsin.toml").write_text("\n\n".join(tables) + "\n")
    return runbook


class Replica:
    """One ``tocsin serve`` on the deployment in ``folder``; ``name`` tells several apart.

    ``data``, the port, the tokens and the log stay the same from start to start. ``crash_at`` is
    for the next start only.
    """

    def __init__(
        self,
        folder: Path,
        database_url: str = "",
        role: str = "all",
        crash_at: str = "",
        *,
        name: str = "one",
        options: Sequence[str] = (),
        **environment: str,
    ) -> None:
        self.folder = folder
        self.name = name
        self.data = folder / f"data-{name}"
        self.log = folder / f"serve-{name}.log"
        self.database_url = database_url
        self.role = role
        self.crash_at = crash_at
        self.options = tuple(options)
        self.environment = environment
        self.port = free_port()
        self.starts = 0
        self._said_before = 0
        self._served = False
        self._process: subprocess.Popen[bytes] | None = None
        self._api: httpx2.Client | None = None

    def __repr__(self) -> str:
        return f"Replica({self.name!r}, {self.url})"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        return (self.data / "ingest.key").read_text().strip()

    @property
    def token(self) -> str:
        return (self.data / "admin.token").read_text().strip()

    @property
    def inlet(self) -> str:
        """Where a Prometheus posts its alerts."""
        return f"{self.url}/in/{self.key}/api/v2/alerts"

    @property
    def api(self) -> httpx2.Client:
        if self._api is None:
            self._api = httpx2.Client(
                base_url=self.url, timeout=15, headers={"Authorization": f"Bearer {self.token}"}
            )
        return self._api

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def status(self) -> int | None:
        """How it ended: minus a signal's number, or its exit status; None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def postmaster(self) -> int | None:
        """The process of its embedded database, if that runs."""
        try:
            note = (self.data / "postgres" / "postmaster.pid").read_text().split("\n")
        except OSError:
            return None
        pid = int(note[0])
        return pid if alive(pid) else None

    @property
    def sql_url(self) -> str:
        """How the proof itself opens the database of this replica, which must run."""
        if self.database_url:
            return self.database_url
        note = (self.data / "postgres" / "postmaster.pid").read_text().split("\n")
        password = quote((self.data / "postgres.password").read_text().strip())
        host = quote(note[4].strip(), safe="")
        return f"postgresql://tocsin:{password}@/tocsin?host={host}&port={note[3].strip()}"

    @property
    def output(self) -> str:
        """What it has said since its last start."""
        with self.log.open("rb") as log:
            log.seek(self._said_before)
            return log.read().decode(errors="replace")

    def start(self, *, wait: bool = True) -> Self:
        """Start it; with ``wait``, return when it answers. Raises Trouble where it does not."""
        assert self.pid is None, f"{self.name} runs"
        self.close()
        self.log.touch()
        self._said_before = self.log.stat().st_size
        self._served = False
        inherited = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}  # noqa: TID251
        environment = {**inherited, **self.environment}
        if self.database_url:
            environment["DATABASE_URL"] = self.database_url
        if self.crash_at:
            environment["TOCSIN_CRASH_AT"] = self.crash_at
        self.crash_at = ""
        role = () if self.role == "all" else ("--role", self.role)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tocsin", "serve"),
                    *("--runbook", str(self.folder / "runbook.md")),
                    *("--data", str(self.data), "--listen", f"127.0.0.1:{self.port}"),
                    *role,
                    *self.options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=ROOT,
                start_new_session=True,
            )
        self.starts += 1
        if wait:
            self.wait_until_ready()
        return self

    def wait_until_ready(self, seconds: float = START_S_MAX) -> None:
        """Return when it has said that it serves; raises Trouble with its words otherwise."""

        def ready() -> bool:
            said = self.is_ready()
            if not said and self.pid is None:
                raise Trouble(
                    f"{self.name} ended with {self.status} before it served: "
                    f"{self.output[-1500:]} ({self.log})"
                )
            return said

        wait_for(ready, seconds, f"{self.name} to serve ({self.log})")

    def is_ready(self) -> bool:
        """Say whether it runs and has said that it serves since its last start."""
        if self.pid is None:
            return False
        if not self._served:
            self._served = bool(re.search(r"serves .* at http://", self.output))
        return self._served

    def kill(self, *, database: bool = False) -> None:
        """End it as a power cut would; with ``database``, its PostgreSQL first, children and all."""
        self.close()
        postmaster = self.postmaster if database and not self.database_url else None
        if postmaster is not None:
            self.freeze()
            kill_family(postmaster)
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()

    def freeze(self) -> None:
        if self.pid is not None:
            os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        if self.pid is not None:
            os.kill(self.pid, signal.SIGCONT)

    def stop(self, seconds: float = 30) -> int:
        """Ask it to end (SIGTERM), wait, and return its exit status."""
        self.close()
        process = self._process
        assert process is not None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill(database=True)
            raise Trouble(f"{self.name} did not stop within {seconds:g} s ({self.log})") from None

    def close(self) -> None:
        """Close the connections that ``api`` holds."""
        if self._api is not None:
            self._api.close()
            self._api = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.thaw()
        if self._process is not None:
            with contextlib.suppress(Trouble):
                self.stop()
            # After a crash of ours the embedded database lives on, as an orphan.
            self.kill(database=True)
