"""Pages and notices on their way: at least once, under an id that stays the same when repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from tocsin.core.effects import SendNotice, SendPage
from tocsin.store import codec, jobs, processes
from tocsin.store.connection import Connection, Record
from tocsin.store.statements import statements

_SQL = statements("deliveries")
_NOW = timedelta(0)


class Delivery(msgspec.Struct, frozen=True):
    """One delivery in the hands of a courier.

    ``attempts`` counts this one too, and fences: whatever is done with a delivery is done only
    while it is at this very attempt. ``lane`` is the channel that it leaves by, "" for the app.
    ``effect`` is None where its bytes cannot be read. An empty ``incident`` means that nobody
    waits to hear how it went.
    """

    id: str
    incident: str
    lane: str
    effect: SendPage | SendNotice | None
    attempts: int
    created_at: datetime


class Settled(msgspec.Struct, frozen=True):
    """What came of one attempt in the end. ``detail`` is what the channel said."""

    id: str
    attempts: int
    delivered: bool
    detail: str


class Again(msgspec.Struct, frozen=True):
    """One attempt that came to nothing, to be followed by another after ``after_s`` seconds."""

    id: str
    attempts: int
    after_s: float
    detail: str


class DeliveryRow(msgspec.Struct, frozen=True):
    """How one delivery stands. ``kind`` is "page" or "notice"; ``to`` a person or an address.

    ``contact`` is "kind:address", or "" where the page stands in the app only. ``state`` is
    "pending", "delivered" or "failed"; ``detail`` is what the channel last said.
    """

    id: str
    incident: str
    kind: str
    to: str
    contact: str
    state: str
    attempts: int
    detail: str
    created_at: datetime
    updated_at: datetime


async def add(c: Connection, incident: str, effects: Sequence[SendPage | SendNotice]) -> None:
    """Ask for deliveries, with one job that wakes a courier. One asked for before stays as it is.

    Needs a transaction, so that rows and job are one.
    """
    if not effects:
        return
    rows = await c.fetch(
        _SQL["add"],
        codec.key(incident),
        [codec.key(effect.delivery) for effect in effects],
        ["page" if isinstance(effect, SendPage) else "notice" for effect in effects],
        [codec.text(_recipient(effect)) for effect in effects],
        ["" if effect.contact is None else codec.text(str(effect.contact)) for effect in effects],
        [codec.encode(effect) for effect in effects],
    )
    if rows:
        await jobs.enqueue(c, [("delivery", rows[0]["id"], _NOW)])


async def lease(
    c: Connection,
    by: int | None,
    lease_s: float,
    *,
    free: Mapping[str, int],
    free_elsewhere: int,
    held: Sequence[str] = (),
) -> list[Delivery]:
    """Take what is due and nobody is at, for so many seconds; then others may think that we died.

    ``free`` says how many from which channel; of one that it does not name, ``free_elsewhere``.
    ``held`` are in the caller's hands already. ``by`` is the caller's process: once that shows no
    life its leases are over, whatever their time. None has only the time.
    """
    rows = await c.fetch(
        _SQL["lease"],
        by,
        lease_s,
        free_elsewhere,
        list(free),
        list(free.values()),
        processes.SILENT_S_MAX,
        list(held),
    )
    return [_delivery(row) for row in rows]


async def renew(
    c: Connection, by: int | None, lease_s: float, held: Sequence[tuple[str, int]]
) -> set[str]:
    """Keep deliveries (id, attempts) for so many seconds more; return the ids still ours to keep."""
    if not held:
        return set()
    rows = await c.fetch(
        _SQL["renew"], by, lease_s, [each for each, _ in held], [number for _, number in held]
    )
    return {row["id"] for row in rows}


async def settle(c: Connection, settled: Sequence[Settled]) -> set[str]:
    """Note what came of attempts, and return the ids for which that counts.

    The others were settled before, or are in other hands by now.
    """
    if not settled:
        return set()
    rows = await c.fetch(
        _SQL["settle"],
        [each.id for each in settled],
        [each.attempts for each in settled],
        ["delivered" if each.delivered else "failed" for each in settled],
        [codec.text(each.detail) for each in settled],
    )
    return {row["id"] for row in rows}


async def retry(c: Connection, again: Sequence[Again]) -> set[str]:
    """Try again later, each at its time, by new jobs; return the ids for which that counts.

    Needs a transaction, as ``add`` does.
    """
    if not again:
        return set()
    rows = await c.fetch(
        _SQL["retry"],
        [each.id for each in again],
        [each.attempts for each in again],
        [each.after_s for each in again],
        [codec.text(each.detail) for each in again],
    )
    first = {row["after_s"]: row["id"] for row in reversed(rows)}
    await jobs.enqueue(
        c, [("delivery", name, timedelta(seconds=after_s)) for after_s, name in first.items()]
    )
    return {row["id"] for row in rows}


async def release(c: Connection, held: Sequence[tuple[str, int, bool]]) -> None:
    """Give deliveries (id, attempts, begun) back unfinished, and wake another courier for them.

    An attempt that was not begun does not count. Needs a transaction, as ``add`` does.
    """
    if not held:
        return
    ids, attempts, begun = zip(*held, strict=True)
    rows = await c.fetch(_SQL["release"], list(ids), list(attempts), list(begun))
    if rows:
        await jobs.enqueue(c, [("delivery", rows[0]["id"], _NOW)])


async def find(c: Connection, *, incident: str = "", limit: int = 200) -> list[DeliveryRow]:
    """Return how deliveries stand, of one incident or of all, newest first."""
    rows = await c.fetch(_SQL["find"], codec.key(incident), limit)
    return [
        DeliveryRow(
            id=row["id"],
            incident=row["incident"],
            kind=row["kind"],
            to=row["recipient"],
            contact=row["contact"],
            state=row["state"],
            attempts=row["attempts"],
            detail=row["detail"],
            created_at=row["created_at"],
            updated_at=row["updated_at"],
        )
        for row in rows
    ]


def _recipient(effect: SendPage | SendNotice) -> str:
    return effect.name if isinstance(effect, SendPage) else effect.contact.address


def _delivery(row: Record) -> Delivery:
    effect: SendPage | SendNotice | None
    try:
        effect = codec.decode(row["effect"], SendPage | SendNotice)  # type: ignore[arg-type]  # a union is no type
    except msgspec.DecodeError:
        # It must not keep its siblings from going out; its courier gives it up, and says so.
        effect = None
    return Delivery(
        row["id"], row["incident"], row["lane"], effect, row["attempts"], row["created_at"]
    )
