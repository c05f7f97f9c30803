"""The database's clock, which all due times are judged by, and what is done when it goes back."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from tocsin.core.inputs import ClockMoved
from tocsin.core.timekeeping import Reading
from tocsin.store import codec
from tocsin.store.connection import Connection
from tocsin.store.statements import statements

_SQL = statements("clock")


async def hold(c: Connection) -> datetime | None:
    """Return the time, and keep the clock from being set back until this transaction ends.

    None where it is behind what it once showed: nothing can be decided by it until ``move`` told
    all open incidents. Many can hold it at once.
    """
    row = await c.fetchrow(_SQL["hold"])
    assert row is not None, "the table has its one row"
    return None if row["is_behind"] else cast("datetime", row["at"])


async def look(c: Connection) -> Reading:
    """Return what the clock shows, beside what it showed before."""
    row = await c.fetchrow(_SQL["look"])
    assert row is not None, "the table has its one row"
    return Reading(row["at"], row["latest"], row["steps"])


async def note(c: Connection) -> None:
    """Remember how late it is. Needs a transaction; cheap, and for every second."""
    await c.execute(_SQL["note"])


async def begin_moving(c: Connection) -> None:
    """Wait for all who ``hold`` the clock, and keep others from it until the transaction ends."""
    await c.execute(_SQL["begin_moving"])


async def accept(c: Connection) -> None:
    """Take what the clock shows for the latest, and move nothing. Call ``begin_moving`` before."""
    await c.execute(_SQL["accept"])


async def move(
    c: Connection, steps: int, by_s: float, *, incidents: str, lease_s: float
) -> tuple[str, ...]:
    """Move what is due back by so many seconds, and return the streams that were told.

    ``steps`` is what ``look`` showed after ``begin_moving``, in the same transaction: it makes sure
    that no step is dealt with twice. ``incidents`` is what the names of their streams begin with.
    A lease lasts no longer than ``lease_s``.
    """
    moved = await c.fetchval(_SQL["moved"], steps)
    assert moved == steps + 1, "the caller looked under the lock"
    told = await c.fetch(_SQL["tell"], codec.encode(ClockMoved(by_s)), incidents)
    await c.execute(_SQL["move_deliveries"], by_s, lease_s)
    await c.execute(_SQL["move_processes"])
    await c.execute(_SQL["move_jobs"], by_s)
    return tuple(row["stream"] for row in told)
