"""What we judged to be so, forever: events are added and never changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from tocsin.core.events import Event
from tocsin.store import codec
from tocsin.store.connection import Connection
from tocsin.store.statements import statements

_SQL = statements("journal")
_COLUMNS = ("stream", "seq", "at", "revision", "body")
# COPY needs a round trip more than INSERT, and less for each row.
_COPIED_FROM = 100


class Recorded(msgspec.Struct, frozen=True):
    """One event of a stream, with its number in it (from 1) and when it was judged."""

    seq: int
    at: datetime
    event: Event


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
    """Return all events of a stream in their order; empty if it has none."""
    return [
        Recorded(row["seq"], row["at"], codec.decode(row["body"], Event))  # type: ignore[arg-type]  # a union is no type
        for row in await c.fetch(_SQL["read"], codec.key(stream))
    ]
