"""How much stands in the database and how the database stands: for ``/metrics`` and ``doctor``.

Everything here is cheap: counts stop at a limit and then mean "at least", and a database that is
busy is not made busier: what takes longer than two seconds is given up.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec

from tocsin.store.connection import Connection
from tocsin.store.statements import statements
from tocsin.store.unavailable import Unavailable, translated

if TYPE_CHECKING:
    from tocsin.store.database import Database

COUNTED_MAX = 50_000
_LOOK_S_MAX = 5.0
SENDERS_MAX = 200
ALIVE_S = 8.0
"""A process that has not shown life for so long is dead to the others."""

_SQL = statements("counts")


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """How many wait, and for how long the oldest of them has; negative where it is yet to be due."""

    number: int = 0
    oldest_s: float = 0.0


class Jobs(msgspec.Struct, frozen=True, array_like=True):
    """Jobs of one kind in the queue: ``held`` ones failed and wait for a person."""

    waiting: int = 0
    held: int = 0


class ProcessSeen(msgspec.Struct, frozen=True):
    """One process that said hello and not yet goodbye."""

    id: int
    role: str
    version: str
    step: int
    revision: str
    started_at: datetime
    seen_at: datetime
    silent_s: float
    is_alive: bool


class SenderSeen(msgspec.Struct, frozen=True):
    """Who sent something, by which way, and how long ago the last of it came."""

    name: str
    source: str
    first_seen_at: datetime
    seen_at: datetime
    signals: int
    silent_s: float


class Standing(msgspec.Struct, frozen=True):
    """The counts of one moment, none above COUNTED_MAX. Whatever nothing has is missing.

    ``inputs`` are by priority ("people", "others"), ``busiest`` are the senders who have most of
    them, ``deliveries`` by how they stand ("waiting" for their time, "due", "leased", "stranded"),
    ``jobs`` by kind. ``timers_about`` and ``journal_about`` are estimates. ``at`` is the clock of
    the database.
    """

    at: datetime
    inputs: dict[str, Waiting]
    busiest: dict[str, int]
    timers_due: int
    timer_oldest_due_s: float
    timers_about: int
    deliveries: dict[str, Waiting]
    failed_lately: int
    alerts_firing: int
    incidents: dict[str, int]
    quarantined: int
    quarantined_at: datetime | None
    jobs: dict[str, Jobs]
    journal_bytes: int
    journal_about: int
    database_bytes: int
    processes: tuple[ProcessSeen, ...] = ()
    senders: tuple[SenderSeen, ...] = ()


class PutAside(msgspec.Struct, frozen=True):
    """What was put aside for one reason. ``number`` counts among the latest ones only."""

    source: str
    why: str
    number: int
    newest_at: datetime


class Server(msgspec.Struct, frozen=True):
    """What kind of PostgreSQL this is, how it is set and how full it is."""

    version: str
    version_number: int
    fsync: str
    full_page_writes: str
    synchronous_commit: str
    connections_max: int
    connections_reserved: int
    connections_used: int
    idle_session_timeout: str | None
    is_standby: bool
    synchronous_standbys: str
    standbys: int
    bytes: int
    at: datetime
    started_at: datetime


async def standing(database: Database) -> Standing:
    """Return the counts of now. Raises Unavailable, also where counting takes too long."""
    async with database.transaction() as c:
        await c.execute(_SQL["within"])
        row = await c.fetchrow(_SQL["standing"], COUNTED_MAX)
        assert row is not None  # A statement without FROM has one row.
        return Standing(
            at=row["at"],
            inputs=_read(row["inputs"], dict[str, Waiting]),
            busiest=_read(row["busiest"], dict[str, int]),
            timers_due=row["timers_due"],
            timer_oldest_due_s=float(row["timer_oldest_due_s"]),
            timers_about=row["timers_about"],
            deliveries=_read(row["deliveries"], dict[str, Waiting]),
            failed_lately=row["failed_lately"],
            alerts_firing=row["alerts_firing"],
            incidents=_read(row["incidents"], dict[str, int]),
            quarantined=row["quarantined"],
            quarantined_at=row["quarantined_at"],
            jobs=_read(row["jobs"], dict[str, Jobs]),
            journal_bytes=row["journal_bytes"],
            journal_about=row["journal_about"],
            database_bytes=row["database_bytes"],
            processes=await _alive(c),
            senders=await _senders(c),
        )


async def quarantined(c: Connection) -> list[PutAside]:
    """Return what was put aside lately, by source and reason, the newest first."""
    rows = await c.fetch(_SQL["quarantined"], COUNTED_MAX)
    return [PutAside(row["source"], row["why"], row["number"], row["newest_at"]) for row in rows]


async def server(c: Connection) -> Server:
    """Return what kind of server the database is, and how it is set."""
    row = await c.fetchrow(_SQL["database"])
    assert row is not None  # A statement without FROM has one row.
    return Server(**{name: row[name] for name in Server.__struct_fields__})


async def look_at(url: str) -> Server:
    """Return how the server at an address is set, changing nothing there; raises Unavailable."""
    with translated(None):
        try:
            connection = await asyncpg.connect(
                url, timeout=_LOOK_S_MAX, command_timeout=_LOOK_S_MAX, statement_cache_size=0
            )
        except ValueError as error:
            # Not with what was wrong: that may be a part of the password.
            raise Unavailable("The database's address cannot be read") from error
    try:
        with translated(connection):
            return await server(connection)
    finally:
        connection.terminate()


async def admins(c: Connection) -> int:
    """Return how many people hold the role admin and may sign in."""
    return int(await c.fetchval(_SQL["admins"]))


async def _alive(c: Connection) -> tuple[ProcessSeen, ...]:
    rows = await c.fetch(_SQL["alive"], ALIVE_S)
    return tuple(_row(row, ProcessSeen) for row in rows)


async def _senders(c: Connection) -> tuple[SenderSeen, ...]:
    rows = await c.fetch(_SQL["senders"], SENDERS_MAX)
    return tuple(_row(row, SenderSeen) for row in rows)


def _row(row: Any, kind: Any) -> Any:
    values = {name: row[name] for name in kind.__struct_fields__}
    values["silent_s"] = float(values["silent_s"])
    return kind(**values)


def _read(text: str, kind: Any) -> Any:
    return msgspec.json.decode(text, type=kind)
