"""What we judged to be so, forever: events are added and never changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import msgspec

from tocsin.core.events import Event
from tocsin.store import codec
from tocsin.store.connection import Connection, Record
from tocsin.store.database import Database
from tocsin.store.route import Use
from tocsin.store.statements import statements

_SQL = statements("journal")
_COLUMNS = ("stream", "seq", "at", "revision", "body")
# COPY needs a round trip more than INSERT, and less for each row.
_COPIED_FROM = 100
_READ_AT_ONCE = 1_000


class Recorded(msgspec.Struct, frozen=True):
    """One event of a stream, with its number in it (from 1) and when it was judged."""

    seq: int
    at: datetime
    event: Event


class Extent(msgspec.Struct, frozen=True):
    """The numbers of the first and the last event of a stream, 0 without any, and how many."""

    first: int
    last: int
    count: int

    def is_whole(self, seq: int) -> bool:
        """Say whether these are all events of a stream whose last one has this number."""
        return (self.first, self.last, self.count) == (min(1, seq), seq, seq)


async def append(
    c: Connection,
    stream: str,
    first_seq: int,
    events: Sequence[tuple[Event, datetime]],
    revision: str,
) -> None:
    """Add events to a claimed stream, numbered from ``first_seq``, judged under that policy."""
    if not events:
        return
    name, policy = codec.key(stream), codec.key(revision)
    if len(events) >= _COPIED_FROM:
        records = (
            (name, seq, codec.moment(at), policy, codec.encode(event))
            for seq, (event, at) in enumerate(events, first_seq)
        )
        await c.copy_records_to_table("journal", columns=_COLUMNS, records=records)
        return
    await c.execute(
        _SQL["append"],
        name,
        first_seq,
        policy,
        [codec.moment(at) for _, at in events],
        [codec.encode(event) for event, _ in events],
    )


async def read(c: Connection, stream: str) -> list[Recorded]:
    """Return all events of a stream in their order; empty if it has none.

    Page by page, so that others get their turn while a storm is read.
    """
    return [recorded async for page in pages(c, stream) for recorded in page]


async def pages(c: Connection, stream: str, limit: int = 2_000) -> AsyncIterator[list[Recorded]]:
    """Yield all events of a stream in their order, so many at a time."""
    after, rows = 0, None
    while rows is None or len(rows) == limit:
        rows = await c.fetch(_SQL["page"], codec.key(stream), after, limit)
        if rows:
            yield [_recorded(row) for row in rows]
            after = rows[-1]["seq"]


async def extent(c: Connection, stream: str) -> Extent:
    """Return which events of a stream there are."""
    row = await c.fetchrow(_SQL["extent"], codec.key(stream))
    assert row is not None, "an aggregate has a row"
    return Extent(row["first"], row["last"], row["count"])


async def names(c: Connection, after: str = "", limit: int = 500) -> list[str]:
    """Return the next streams by name that have events or a state."""
    return [row["stream"] for row in await c.fetch(_SQL["names"], after, limit)]


async def since(database: Database, at: datetime) -> AsyncIterator[tuple[str, datetime, Event]]:
    """Yield the events of all streams since an instant, with stream and time, in the order of time.

    All as of one moment, on a connection of its own; a thousand rows are in memory. Raises
    Unavailable where the database goes away.
    """
    async with (
        database.direct.dedicated("tocsin export", Use.LONG, command_s_max=None) as c,
        c.transaction(isolation="repeatable_read", readonly=True),
    ):
        cursor = await c.cursor(_SQL["since"], codec.moment(at))
        while rows := await cursor.fetch(_READ_AT_ONCE):
            for row in rows:
                event: Event = codec.decode(row["body"], Event)  # type: ignore[arg-type]  # a union
                yield row["stream"], row["at"], event


def _recorded(row: Record) -> Recorded:
    return Recorded(row["seq"], row["at"], codec.decode(row["body"], Event))  # type: ignore[arg-type]  # a union is no type
