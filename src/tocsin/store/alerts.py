"""Every alert a desk knows, one row each, with the end that its repeats keep moving."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from enum import StrEnum

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


class Repeat(msgspec.Struct, frozen=True):
    """That an alert was sent again unchanged: its desk's stream, its end now, and when it came."""

    fingerprint: str
    stream: str
    ends_at: datetime | None
    received_at: datetime


class Verdict(StrEnum):
    """How an alert stands that was taken for firing and is not.

    Ended after this repeat had come (OVER), fires again so that its desk must hear of it (NEWS), or
    is not judged yet, so that it is too early to say (EARLY).
    """

    OVER = "over"
    NEWS = "news"
    EARLY = "early"


class AlertRow(msgspec.Struct, frozen=True):
    """An alert with the desk it is on, and when it last changed or was last sent again (UTC)."""

    record: AlertRecord
    service: str
    updated_at: datetime


class Held(msgspec.Struct, frozen=True):
    """What a row of an alert holds. ``record`` is None for one that is damaged.

    Then it is unreadable, or columns say something else.
    """

    record: AlertRecord | None
    ends_at: datetime | None


async def load(c: Connection, fingerprints: Sequence[str]) -> dict[str, AlertRecord]:
    """Return the alerts of these fingerprints; those that are not known are missing."""
    rows = await c.fetch(_SQL["load"], [codec.key(f) for f in fingerprints])
    records = [_record(row) for row in rows]
    return {record.signal.fingerprint: record for record in records}


async def of(c: Connection, service: str) -> dict[str, Held]:
    """Return every alert on the desk of a service by the key of its row (``codec.key``)."""
    rows = await c.fetch(_SQL["of"], codec.key(service))
    return {row["fingerprint"]: Held(_sound(row), row["ends_at"]) for row in rows}


def _sound(row: Record) -> AlertRecord | None:
    try:
        record = _record(row)
    except msgspec.DecodeError:
        return None
    incident = None if record.incident is None else codec.key(record.incident)
    columns = (row["fingerprint"], row["incident"], row["firing"], row["stale"])
    said = (codec.key(record.signal.fingerprint), incident, record.firing, record.stale)
    return record if columns == said else None


async def forget(c: Connection, service: str, keys: Sequence[str]) -> None:
    """Take alerts off the desk of a service, by the keys of their rows."""
    await c.execute(_SQL["forget"], codec.key(service), list(keys))


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


async def touch(c: Connection, repeats: Sequence[Repeat]) -> dict[str, Verdict]:
    """Move the ends of alerts whose repeats changed nothing else.

    Each fingerprint is there once. Returned are those where that was a mistake, with how they
    stand: alerts that are over, stale or unknown stay as they are.
    """
    if not repeats:
        return {}
    # Sorted, as in ``put``.
    rows = sorted(repeats, key=lambda repeat: codec.key(repeat.fingerprint))
    names = {codec.key(repeat.fingerprint): repeat.fingerprint for repeat in rows}
    found = await c.fetch(
        _SQL["touch"],
        list(names),
        [codec.key(r.stream) for r in rows],
        [None if r.ends_at is None else codec.moment(r.ends_at) for r in rows],
        [codec.moment(r.received_at) for r in rows],
    )
    return {names[row["fingerprint"]]: Verdict(row["verdict"]) for row in found}


async def firing(c: Connection, portion: int = 2_000) -> AsyncIterator[list[AlertRow]]:
    """Yield every firing alert, so many at once.

    Decoding a hundred thousand takes seconds, and PostgreSQL ends a transaction that is silent for
    as long; between portions it hears of us.
    """
    after = ""
    while True:
        rows = await c.fetch(_SQL["firing"], after, portion)
        yield [AlertRow(_record(row), row["service"], row["updated_at"]) for row in rows]
        if len(rows) < portion:
            return
        after = rows[-1]["fingerprint"]


async def lapsed(c: Connection, grace_s: float, limit: int = 500) -> list[Lapsed]:
    """Return firing alerts that ended ``grace_s`` ago and were not sent again since, as long."""
    return [
        Lapsed(row["service"], _record(row).signal.fingerprint, row["ends_at"])
        for row in await c.fetch(_SQL["lapsed"], grace_s, limit)
    ]


async def find(
    c: Connection, *, firing_only: bool = False, incident: str = "", limit: int = 500
) -> list[AlertRow]:
    """Return at most so many alerts, of one incident or of all, ordered by service."""
    return [
        AlertRow(_record(row), row["service"], row["updated_at"])
        for row in await c.fetch(_SQL["find"], firing_only, codec.key(incident), limit)
    ]


def _record(row: Record) -> AlertRecord:
    record = codec.decode(row["record"], AlertRecord)
    written = record.signal.ends_at
    # The column is ahead of the bytes where only repeats came in.
    if (None if written is None else codec.moment(written)) == row["ends_at"]:
        return record
    signal = msgspec.structs.replace(record.signal, ends_at=row["ends_at"])
    return msgspec.structs.replace(record, signal=signal)
