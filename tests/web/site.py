"""A whole Tocsin without its outside: the real store, engine and application on a small runbook."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx2
import uvicorn
from fastapi import FastAPI

from tocsin.base.rights import Role
from tocsin.core.surroundings import Directory, Person, Tuning, role_key
from tocsin.engine.book import Book
from tocsin.engine.engine import Engine
from tocsin.engine.instruments import Instruments
from tocsin.engine.system import SystemClock, SystemIds
from tocsin.runbook import compile_runbook
from tocsin.store import access, people
from tocsin.store.database import Database
from tocsin.web.app import create_app
from tocsin.web.attempts import Attempts
from tocsin.web.context import Context
from tocsin.web.door import door_of
from tocsin.web.guard import SESSION_COOKIE
from tocsin.web.links import Signer

RUNBOOK = """\
# Incident Response

## Severity Levels

### P0 - Critical
- Complete outage of the service
- Data breach

### P1 - High
- Error rate above 10%

### P2 - Medium
- Slow responses

### P3 - Low
- Cosmetic problems

## Escalation Path

1. **On-Call Engineer** (First responder)
2. **Team Lead** (Escalate if needed)

### Escalation Criteria
- P0: Immediate escalation
- P1: Escalate if not resolved in 1 hour
- P2: Escalate if not resolved in 4 hours
- P3: Escalate if not resolved in 24 hours

## Post-Mortem Template

### Summary
- What happened?
"""
PUBLIC_URL = "http://tocsin.test"
SCOPES = {
    "admin": ("admin",),
    "ingest": ("ingest",),
    "reader": ("read",),
    "silencer": ("silence",),
    "responder": ("respond", "read"),
    "useless": (),
}
USERS = {Role.VIEWER: "Vera", Role.RESPONDER: "Rob", Role.LEAD: "Lea", Role.ADMIN: "Ana"}
DIRECTORY = Directory(
    people={"priya": Person("priya", "Priya"), "sam": Person("sam", "Sam")},
    roles={role_key("On-Call Engineer"): ("priya",), role_key("Team Lead"): ("sam",)},
)
TUNING = Tuning(severity_by_label={"critical": "P0", "warning": "P2"}, severity_default="P2")


class NoCourier:
    """Delivers nothing: nobody in these tests has an address."""

    async def deliver(self, delivery: str) -> None:
        raise AssertionError(f"{delivery} should not exist")

    def wake(self) -> None:
        """Have nothing to do."""


@dataclass
class Site:
    """The application with a client that speaks to it in-process."""

    app: FastAPI
    context: Context
    http: httpx2.AsyncClient
    tokens: dict[str, str]
    sessions: dict[Role, str]
    over: str

    @property
    def session(self) -> str:
        """Return what the cookie of the admin's browser holds."""
        return self.sessions[Role.ADMIN]

    def cookie(self, role: Role) -> dict[str, str]:
        """Return the headers of a browser that somebody of that role signed in with."""
        return {"Cookie": f"{SESSION_COOKIE}={self.sessions[role]}", "Origin": PUBLIC_URL}

    def bearer(self, name: str) -> dict[str, str]:
        """Return the headers of a token."""
        return {"Authorization": f"Bearer {self.tokens[name]}"}

    async def ask(
        self, method: str, path: str, name: str = "admin", **more: Any
    ) -> httpx2.Response:
        """Send one request with somebody's token."""
        headers = {**self.bearer(name), **more.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **more)


@contextlib.asynccontextmanager
async def open_site(database: Database) -> AsyncIterator[Site]:
    """Build a site on a database and run its engine while it is in use."""
    clock, ids = SystemClock(), SystemIds()
    book = Book(compile_runbook({"runbook.md": RUNBOOK}), DIRECTORY, configured=True)
    await book.remember(database, clock.now())
    instruments = Instruments("0.0.test")
    database.on_commit = instruments.committed
    engine = Engine(database, book, NoCourier(), clock, DIRECTORY, TUNING, instruments)  # type: ignore[arg-type]
    stop = asyncio.Event()
    context = Context(
        engine=engine,
        database=database,
        book=book,
        clock=clock,
        ids=ids,
        public_url=PUBLIC_URL,
        directory=DIRECTORY,
        signer=Signer(b"s" * 32),
        version="0.0.test",
        started_at=clock.now(),
        closing=stop,
        instruments=instruments,
    )
    tokens = {name: f"{name}-{ids.secret()}" for name in SCOPES}
    sessions, over = {role: ids.secret() for role in USERS}, ids.secret()
    async with database.transaction() as connection:
        for name, scopes in SCOPES.items():
            await access.grant(connection, name, tokens[name], scopes)
        for role, name in USERS.items():
            assert await people.add(connection, name.lower(), name, role, "admin") == ""
            await access.start_session(connection, sessions[role], name.lower(), _later(clock, 1))
        await access.start_session(connection, over, "ana", _later(clock, -1))
    app = create_app(context)
    # Tests send wrong credentials by the thousand, all from one address.
    door_of(app).attempts = Attempts(free=1_000_000)
    async with asyncio.TaskGroup() as group:
        # Turns only: nothing here waits for a timer or is delivered, and the queue of jobs takes
        # a second to stop, in every test.
        group.create_task(engine._work(stop))
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url=PUBLIC_URL) as http:
            try:
                yield Site(app, context, http, tokens, sessions, over)
            finally:
                stop.set()
                engine.wake()


@contextlib.asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    """Serve an application on a free port of this machine; yield its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on", ws="none")
        server = uvicorn.Server(config)
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(server.serve(sockets=[listening]))
            while not server.started:
                await asyncio.sleep(0.01)
            try:
                yield f"http://127.0.0.1:{listening.getsockname()[1]}"
            finally:
                # Within the group: a test that fails must not cut the server off while it closes.
                server.should_exit = True
                await serving


@contextlib.contextmanager
def running(arguments: Sequence[str]) -> Iterator[None]:
    """Run another program, silently, until left."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen(arguments, stdout=quiet, stderr=quiet) as process:
        try:
            yield
        finally:
            process.terminate()


async def eventually(look: Any, *, within_s: float = 10.0) -> Any:
    """Return what an asynchronous ``look`` finds once it is neither None nor empty."""
    async with asyncio.timeout(within_s):
        while not (found := await look()):
            await asyncio.sleep(0.03)
    return found


def _later(clock: SystemClock, hours: int) -> datetime:
    return clock.now() + timedelta(hours=hours)
