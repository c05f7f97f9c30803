"""What reached us, until it is judged. An input that is committed here is never lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from tocsin.core.inputs import HUMAN_INPUTS, Input
from tocsin.store import codec
from tocsin.store.connection import Connection
from tocsin.store.statements import statements

_SQL = statements("inbox")


class Waiting(msgspec.Struct, frozen=True):
    """One input that waits to be judged. ``received_at`` is by the database's clock."""

    id: int
    input: Input
    received_at: datetime


async def append(c: Connection, items: Sequence[tuple[str, Input]]) -> list[int]:
    """Keep inputs, each for its stream, and return their ids in the same order.

    Durable when the transaction is. What people do is marked to go before signals.
    """
    if not items:
        return []
    rows = await c.fetch(
        _SQL["append"],
        [codec.key(stream) for stream, _ in items],
        [0 if isinstance(given, HUMAN_INPUTS) else 1 for _, given in items],
        [codec.encode(given) for _, given in items],
    )
    return sorted(row["id"] for row in rows)


async def waiting_streams(c: Connection, limit: int = 100) -> list[str]:
    """Return streams with inputs not judged yet: people's first, then the longest waiting."""
    return [row["stream"] for row in await c.fetch(_SQL["waiting_streams"], limit)]


async def take(c: Connection, stream: str, limit: int = 500) -> list[Waiting]:
    """Return the next inputs of a stream: people's first, then in the order they came.

    The caller has claimed the stream. Bytes that no longer decode are put aside on the way, so
    that they cannot hold up the rest.
    """
    found = []
    for row in await c.fetch(_SQL["take"], codec.key(stream), limit):
        try:
            given: Input = codec.decode(row["body"], Input)  # type: ignore[arg-type]  # a union is no type
        except msgspec.DecodeError as error:
            await put_aside(c, row["id"], f"It could not be read: {error}.")
            continue
        found.append(Waiting(row["id"], given, row["received_at"]))
    return found


async def finish(c: Connection, refusals: Mapping[int, str], done: Sequence[int]) -> None:
    """Note that inputs were judged: ``done`` holds their ids, ``refusals`` the sentences for some.

    Signals are deleted. What people did stays, with its refusal or "", until ``prune``.
    """
    ids = sorted({*done, *refusals})
    if not ids:
        return
    await c.execute(_SQL["finish_signals"], ids)
    await c.execute(
        _SQL["finish_humans"], ids, list(refusals), [codec.text(said) for said in refusals.values()]
    )


async def outcome(c: Connection, id: int) -> str | None:  # noqa: A002 - the contract's word
    """Return None while an input waits, "" once it was accepted, else the refusal sentence.

    An input that is not here any more was judged.
    """
    row = await c.fetchrow(_SQL["outcome"], id)
    if row is None:
        return ""
    return str(row["refusal"]) if row["done"] else None


async def put_aside(c: Connection, id: int, why: str) -> None:  # noqa: A002 - as above
    """Move one input that cannot be judged to quarantine, with its bytes.

    A person who waits for its outcome is told so.
    """
    await c.execute(_SQL["quarantine"], id, codec.text(why))
    await finish(c, {id: f"This could not be processed and was put aside. {why}"}, [id])


async def prune(c: Connection, older_than_s: int) -> None:
    """Forget outcomes that are older than so many seconds."""
    await c.execute(_SQL["prune"], older_than_s)
