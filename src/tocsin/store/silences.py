"""Who muted what, from when to when."""

from __future__ import annotations

from datetime import datetime

import msgspec

from tocsin.core.surroundings import Silence
from tocsin.store import codec
from tocsin.store.connection import Connection, Record
from tocsin.store.statements import statements

_SQL = statements("silences")


class SilenceRow(msgspec.Struct, frozen=True):
    """A silence, and when it was last written (UTC)."""

    silence: Silence
    updated_at: datetime


async def put(c: Connection, silence: Silence) -> None:
    """Write a silence, new or changed."""
    await c.execute(
        _SQL["put"],
        codec.key(silence.id),
        codec.moment(silence.starts_at),
        codec.moment(silence.ends_at),
        codec.encode(silence),
    )


async def get(c: Connection, id: str) -> SilenceRow | None:  # noqa: A002 - the contract's word
    """Return one silence, also one that is over; None if there never was one of that id."""
    row = await c.fetchrow(_SQL["get"], codec.key(id))
    return None if row is None else _row(row)


async def find(c: Connection) -> list[SilenceRow]:
    """Return all silences, those that end last first."""
    return [_row(row) for row in await c.fetch(_SQL["find"])]


async def active(c: Connection, at: datetime) -> tuple[Silence, ...]:
    """Return the silences in force at that instant."""
    rows = await c.fetch(_SQL["active"], codec.moment(at))
    return tuple(codec.decode(row["silence"], Silence) for row in rows)


async def expire(c: Connection, id: str, at: datetime) -> bool:  # noqa: A002 - the contract's word
    """End a silence now; one that has not begun never will. False if there is none, or it is over.

    Needs a transaction: the row is read, then written.
    """
    row = await c.fetchrow(_SQL["get_to_change"], codec.key(id))
    if row is None:
        return False
    silence = codec.decode(row["silence"], Silence)
    if silence.ends_at <= at:
        return False
    starts_at = min(silence.starts_at, at)
    await put(c, msgspec.structs.replace(silence, starts_at=starts_at, ends_at=at))
    return True


async def hold(c: Connection) -> None:
    """Let no silence turn until the end of this transaction, which reads them.

    Call it before anything else is locked. Turns of many desks hold them at once.
    """
    await c.execute(_SQL["hold"])


async def has_turned(c: Connection, at: datetime) -> bool:
    """Say whether ``turned`` would report any; it asks without waiting for anybody."""
    return await c.fetchval(_SQL["has_turned"], codec.moment(at)) is True


async def begin_turning(c: Connection) -> None:
    """Wait for all who ``hold``, and keep others from it until the end of the transaction.

    What they decided under the silences of before is visible then, so that no alert is missed.
    """
    await c.execute(_SQL["begin_turning"])


async def turned(c: Connection, at: datetime) -> list[str]:
    """Return ids of silences that began, ended or were changed since the last call.

    Each turn is reported once, so the caller tells the desks in the same transaction. A silence
    that was written before it begins is reported when it begins, not before.
    """
    return sorted(row["id"] for row in await c.fetch(_SQL["turned"], codec.moment(at)))


def _row(row: Record) -> SilenceRow:
    return SilenceRow(codec.decode(row["silence"], Silence), row["updated_at"])
