"""What must happen, and when, by the clock of the database. A job only says which row to look at."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import cast

from tocsin.store import codec, jobs
from tocsin.store.connection import Connection
from tocsin.store.statements import statements

_SQL = statements("timers")


async def replace(c: Connection, stream: str, wanted: Mapping[str, datetime]) -> None:
    """Make the timers of a stream exactly these, by name, and enqueue a job for new or moved ones.

    Call it with all of them every time: what did not change costs nothing. The jobs of timers that
    are gone find no row, and end quietly. Needs a transaction, so that row and job are one.
    """
    name = codec.key(stream)
    due_by_name = {codec.key(timer): codec.moment(due_at) for timer, due_at in wanted.items()}
    rows = await c.fetch(_SQL["replace"], name, list(due_by_name), list(due_by_name.values()))
    await jobs.enqueue(c, [("timer", f"{name}\n{row['name']}", row["after"]) for row in rows])


async def take_due(c: Connection, stream: str, name: str) -> datetime | None:
    """Take a timer off and return when it was due; None if it is gone or its time has not come."""
    taken = await c.fetchval(_SQL["take_due"], codec.key(stream), codec.key(name))
    return cast("datetime | None", taken)


async def take_overdue(
    c: Connection, older_than_s: float, limit: int = 500
) -> list[tuple[str, str, datetime]]:
    """Take off (stream, name, when due) what has been due for so long: its job is lost or slow."""
    rows = await c.fetch(_SQL["take_overdue"], older_than_s, limit)
    return [(row["stream"], row["name"], row["due_at"]) for row in rows]


async def of(c: Connection, stream: str) -> dict[str, datetime]:
    """Return all timers of a stream with their instants (UTC), the next one first."""
    rows = await c.fetch(_SQL["of"], codec.key(stream))
    return {row["name"]: row["due_at"] for row in rows}
