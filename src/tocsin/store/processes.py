"""Who runs on this database: one row per process, which shows life every two seconds.

Judged by the clock of the database alone. Whoever is silent for eight seconds is dead to the
others: frozen, killed, or cut off, which from outside is the same. What it had in hand goes to
others then, so an id is never given twice, and nothing names a host or a process of its system.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from tocsin.store import codec
from tocsin.store.connection import Connection
from tocsin.store.statements import statements

_SQL = statements("processes")

BEAT_EVERY_S = 2.0
SILENT_S_MAX = 8.0
KEPT_S = 86_400.0


class ProcessRow(msgspec.Struct, frozen=True):
    """One process. ``role`` is "all", "web" or "worker"; ``step`` the last migration it knows.

    ``revision`` is that of the runbook it has in force, "" before it has one.
    """

    id: int
    role: str
    version: str
    step: int
    revision: str
    started_at: datetime
    seen_at: datetime


async def enter(c: Connection, role: str, version: str, step: int, revision: str = "") -> int:
    """Register a process that begins, and return its id."""
    return int(await c.fetchval(_SQL["enter"], role, version, step, codec.key(revision)))


async def beat(c: Connection, id: int, revision: str = "") -> bool:  # noqa: A002 - the field's word
    """Show life. False means that we were removed, having been silent for a day: ``enter`` anew."""
    return await c.fetchval(_SQL["beat"], id, codec.key(revision)) is not None


async def leave(c: Connection, id: int) -> None:  # noqa: A002 - as above
    """Say that a process ends, so that nobody waits for it."""
    await c.execute(_SQL["leave"], id)


async def bury(c: Connection) -> None:
    """Say that everybody who was here is dead: for whoever alone can be on this database.

    What they had in hand is free at once, and not only when they have been silent for long enough.
    """
    await c.execute(_SQL["bury"])


async def alive(c: Connection) -> list[ProcessRow]:
    """Return who has shown life lately, ourselves included, the eldest first."""
    rows = await c.fetch(_SQL["alive"], SILENT_S_MAX)
    return [ProcessRow(*row) for row in rows]


async def prune(c: Connection, older_than_s: float = KEPT_S) -> None:
    """Forget processes that ended without a word."""
    await c.execute(_SQL["prune"], older_than_s)
