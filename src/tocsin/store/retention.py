"""Deleting what is older than it is kept, in pieces small enough that nobody waits for one.

Each function deletes at most so many rows and says how many they were. Nothing of an open incident
is ever deleted.
"""

from __future__ import annotations

from datetime import datetime

from tocsin.store import codec
from tocsin.store.connection import Connection
from tocsin.store.statements import statements

_SQL = statements("retention")


async def over(c: Connection, before: datetime, limit: int) -> list[str]:
    """Return incidents that are over and did not change since then, the longest first."""
    return [row["id"] for row in await c.fetch(_SQL["over"], codec.moment(before), limit)]


async def drop_incident(
    c: Connection, incident: str, stream: str, before: datetime, limit: int
) -> int:
    """Delete a piece of an incident, or the last of it; 0 when it is not over any more.

    The caller has claimed its stream. The view goes last, so that a piece that is left is found.
    """
    id_ = codec.key(incident)
    if not await c.fetchval(_SQL["is_over"], id_, stream, codec.moment(before)):
        return 0
    dropped = _count(await c.execute(_SQL["drop_journal"], stream, limit))
    if dropped < limit:
        dropped += _count(await c.execute(_SQL["drop_alerts"], id_, limit - dropped))
    if dropped < limit:
        dropped += _count(await c.execute(_SQL["drop_deliveries"], id_, limit - dropped))
    if dropped < limit:
        dropped += _count(await c.execute(_SQL["drop_rest"], id_, stream))
    return dropped


async def with_deliveries(c: Connection, before: datetime, limit: int) -> list[str]:
    """Return incidents that are over since before then and still have deliveries."""
    rows = await c.fetch(_SQL["with_deliveries"], codec.moment(before), limit)
    return [row["id"] for row in rows]


async def drop_deliveries(c: Connection, incident: str, limit: int) -> int:
    """Delete settled deliveries of an incident."""
    return _count(await c.execute(_SQL["drop_deliveries"], codec.key(incident), limit))


async def desks(c: Connection, after: str, limit: int) -> list[tuple[str, datetime | None]]:
    """Return the next desks by name, with the instant of their first event, None without any."""
    return [(row["stream"], row["at"]) for row in await c.fetch(_SQL["desks"], after, limit)]


async def drop_events(c: Connection, stream: str, before: datetime, limit: int) -> int:
    """Delete the first events of a stream. Its state stays, so that it goes on as if nothing was."""
    return _count(await c.execute(_SQL["drop_events"], stream, codec.moment(before), limit))


async def drop_ended_alerts(c: Connection, before: datetime, limit: int) -> int:
    """Delete desks' alerts that ended before then."""
    return _count(await c.execute(_SQL["drop_ended_alerts"], codec.moment(before), limit))


async def drop_silences(c: Connection, before: datetime, limit: int) -> int:
    """Delete silences that ended before then."""
    return _count(await c.execute(_SQL["drop_silences"], codec.moment(before), limit))


async def drop_tests(c: Connection, before: datetime, limit: int) -> int:
    """Delete test messages that were settled before then."""
    return _count(await c.execute(_SQL["drop_tests"], codec.moment(before), limit))


async def drop_quarantine(c: Connection, before: datetime, limit: int) -> int:
    """Delete what was put aside before then."""
    return _count(await c.execute(_SQL["drop_quarantine"], codec.moment(before), limit))


def _count(tag: str) -> int:
    """Return the number of a command tag such as "DELETE 3"."""
    return int(tag.rpartition(" ")[2])
