"""Every alert a desk knows, one row each, with the end that its repeats keep moving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from tocsin.core.state import AlertRecord
from tocsin.store import codec
from tocsin.store.connection import Connection, Record
from tocsin.store.statements import statements

_SQL = statements("alerts")


class Lapsed(msgspec.Struct, frozen=True):
    """A firing alert that was not sent again in time. ``ends_at`` is what its sender last said."""

    service: str
    fingerprint: str
    ends_at: datetime


class AlertRow(msgspec.Struct, frozen=True):
    """An alert with the desk it is on, and when it last changed or was last sent again (UTC)."""

    record: AlertRecord
    service: str
    updated_at: datetime


async def load(c: Connection, fingerprints: Sequence[str]) -> dict[str, AlertRecord]:
    """Return the alerts of these fingerprints; those that are not known are missing."""
    rows = await c.fetch(_SQL["load"], [codec.key(f) for f in fingerprints])
    records = [_record(row) for row in rows]
    return {record.signal.fingerprint: record for record in records}


async def put(c: Connection, service: str, records: Sequence[AlertRecord], at: datetime) -> None:
    """Write alerts as the desk of ``service`` now sees them. A fingerprint named twice: the last."""
    latest = {codec.key(record.signal.fingerprint): record for record in records}
    if not latest:
        return
    # Sorted, so that two desks that write the same rows wait for each other instead of dying.
    keys = sorted(latest)
    rows = [latest[key] for key in keys]
    await c.execute(
        _SQL["put"],
        codec.key(service),
        codec.moment(at),
        keys,
        [None if r.incident is None else codec.key(r.incident) for r in rows],
        [r.firing for r in rows],
        [r.stale for r in rows],
        [None if r.signal.ends_at is None else codec.moment(r.signal.ends_at) for r in rows],
        [codec.encode(r) for r in rows],
    )


async def touch(c: Connection, ends: Mapping[str, datetime | None], at: datetime) -> frozenset[str]:
    """Move the ends of alerts whose repeats changed nothing else, by fingerprint.

    Alerts that are over, stale or unknown by now stay as they are, and are returned: whoever took
    their repeat for nothing new was mistaken.
    """
    if not ends:
        return frozenset()
    keys = sorted(ends)
    moments = (ends[key] for key in keys)
    rows = await c.fetch(
        _SQL["touch"],
        codec.moment(at),
        [codec.key(key) for key in keys],
        [None if moment is None else codec.moment(moment) for moment in moments],
    )
    moved = {row["fingerprint"] for row in rows}
    return frozenset(key for key in keys if codec.key(key) not in moved)


async def lapsed(c: Connection, grace_s: float, limit: int = 500) -> list[Lapsed]:
    """Return firing alerts whose end passed ``grace_s`` ago by the database's clock."""
    return [
        Lapsed(row["service"], _record(row).signal.fingerprint, row["ends_at"])
        for row in await c.fetch(_SQL["lapsed"], grace_s, limit)
    ]


async def find(c: Connection, *, firing_only: bool = False, incident: str = "") -> list[AlertRow]:
    """Return alerts, of one incident or of all, ordered by service."""
    return [
        AlertRow(_record(row), row["service"], row["updated_at"])
        for row in await c.fetch(_SQL["find"], firing_only, codec.key(incident))
    ]


def _record(row: Record) -> AlertRecord:
    record = codec.decode(row["record"], AlertRecord)
    written = record.signal.ends_at
    # The column is ahead of the bytes where only repeats came in.
    if (None if written is None else codec.moment(written)) == row["ends_at"]:
        return record
    signal = msgspec.structs.replace(record.signal, ends_at=row["ends_at"])
    return msgspec.structs.replace(record, signal=signal)
