"""A stream is a row to lock: who holds it may judge its inputs, and nobody else does meanwhile."""

from __future__ import annotations

import msgspec

from tocsin.store import codec
from tocsin.store.connection import Connection, Record
from tocsin.store.statements import statements

_SQL = statements("streams")


class Claimed(msgspec.Struct, frozen=True):
    """A stream as of its last event: ``seq`` is that event's number, 0 and None before the first."""

    seq: int
    state: bytes | None


async def claim(c: Connection, stream: str, *, wait: bool = False) -> Claimed | None:
    """Lock a stream for the transaction, creating it when it is new.

    None means that another transaction holds it; with ``wait`` this waits for it instead.
    """
    name = codec.key(stream)
    row = await c.fetchrow(_SQL["claim"], name)
    if row is not None:
        return _claimed(row)
    # Locked by another, or not there yet. An insert would wait for one who is creating it.
    if not wait:
        if await c.fetchrow(_SQL["load"], name) is not None:
            return None
        if not await c.fetchval(_SQL["may_create"], name):
            return None
    await c.execute(_SQL["create"], name)
    row = await c.fetchrow(_SQL["claim_waiting" if wait else "claim"], name)
    return None if row is None else _claimed(row)


async def try_alone(c: Connection, what: str) -> bool:
    """Say whether nobody else does this now; then nobody will until the transaction ends."""
    return await c.fetchval(_SQL["try_alone"], what) is True


async def save(c: Connection, stream: str, seq: int, state: bytes) -> None:
    """Keep the state of a claimed stream, and the number of the last event it contains."""
    await c.execute(_SQL["save"], codec.key(stream), seq, state)


async def load(c: Connection, stream: str) -> Claimed | None:
    """Return a stream as of the last commit, without a lock; None if it never was claimed."""
    row = await c.fetchrow(_SQL["load"], codec.key(stream))
    return None if row is None else _claimed(row)


def _claimed(row: Record) -> Claimed:
    return Claimed(row["seq"], row["state"])
