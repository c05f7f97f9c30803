"""Pages and notices on their way: at least once, under an id that stays the same when repeated."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from tocsin.core.effects import SendNotice, SendPage
from tocsin.store import codec, jobs
from tocsin.store.connection import Connection
from tocsin.store.statements import statements

_SQL = statements("deliveries")
_NOW = timedelta(0)


class Delivery(msgspec.Struct, frozen=True):
    """One delivery in the hands of a courier. ``attempts`` counts this one too."""

    id: str
    incident: str
    effect: SendPage | SendNotice
    attempts: int
    state: str
    created_at: datetime


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
    """Ask for deliveries, each with its job. One that was asked for before stays as it is.

    Needs a transaction, so that row and job are one.
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
    await jobs.enqueue(c, [("delivery", row["id"], _NOW) for row in rows])


async def lease(c: Connection, delivery: str, lease_s: float) -> Delivery | None:
    """Take a delivery for so many seconds; afterwards others may think that we died.

    None if it is settled, not due yet, or taken by another.
    """
    row = await c.fetchrow(_SQL["lease"], codec.key(delivery), lease_s)
    if row is None:
        return None
    effect: SendPage | SendNotice = codec.decode(row["effect"], SendPage | SendNotice)  # type: ignore[arg-type]  # a union is no type
    return Delivery(
        row["id"], row["incident"], effect, row["attempts"], row["state"], row["created_at"]
    )


async def settle(
    c: Connection, delivery: str, state: Literal["delivered", "failed"], detail: str
) -> None:
    """Note that the channel took it, or that it was given up on. The first to settle is right."""
    await c.execute(_SQL["settle"], codec.key(delivery), state, codec.text(detail))


async def retry(c: Connection, delivery: str, after_s: float, detail: str) -> None:
    """Try again after so many seconds, by a new job. Needs a transaction, as ``add`` does."""
    name = await c.fetchval(_SQL["retry"], codec.key(delivery), after_s, codec.text(detail))
    if name is not None:
        await jobs.enqueue(c, [("delivery", name, timedelta(seconds=after_s))])


async def stranded(c: Connection, limit: int = 200) -> list[str]:
    """Return ids of deliveries that are due while nobody is at them, the longest waiting first."""
    return [row["id"] for row in await c.fetch(_SQL["stranded"], limit)]


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
