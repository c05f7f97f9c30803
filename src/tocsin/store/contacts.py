"""How each contact did when it was last used: one that nobody ever tried is a hole."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from tocsin.store import codec
from tocsin.store.connection import Connection
from tocsin.store.statements import statements

_SQL = statements("contacts")


class Noted(msgspec.Struct, frozen=True):
    """What came of one delivery: ``detail`` is the channel's own word for it, or what was wrong."""

    contact: str
    delivered: bool
    detail: str = ""


class ContactRow(msgspec.Struct, frozen=True):
    """How one contact ("email:ona@example.org") did; both instants may be None, not at once.

    ``detail`` belongs to whichever was last.
    """

    contact: str
    delivered_at: datetime | None
    failed_at: datetime | None
    detail: str

    @property
    def is_failing(self) -> bool:
        """Say whether the last use of it failed."""
        if self.failed_at is None:
            return False
        return self.delivered_at is None or self.failed_at > self.delivered_at


async def note(c: Connection, noted: Sequence[Noted]) -> None:
    """Note how contacts did, to ten seconds; call it in the transaction that settles deliveries.

    Of several notes about one contact the last counts. Never waits for another transaction, except
    where both are the first ever to use a contact.
    """
    if noted:
        await c.execute(
            _SQL["note"],
            [codec.key(each.contact) for each in noted],
            [each.delivered for each in noted],
            [codec.text(each.detail) for each in noted],
        )


async def known(c: Connection) -> dict[str, ContactRow]:
    """Return every contact that was ever used, by its text."""
    rows = await c.fetch(_SQL["all"])
    return {
        row["contact"]: ContactRow(
            row["contact"], row["delivered_at"], row["failed_at"], row["detail"]
        )
        for row in rows
    }


class Trial(msgspec.Struct, frozen=True):
    """How one test message stands: ``state`` is "pending", "delivered" or "failed"."""

    id: str
    contact: str
    state: str
    attempts: int
    detail: str
    created_at: datetime
    updated_at: datetime


async def trials(c: Connection, ids: Sequence[str]) -> list[Trial]:
    """Return how these test messages stand, in the order in which they were asked for."""
    rows = await c.fetch(_SQL["trials"], [codec.key(each) for each in ids])
    return [Trial(**{name: row[name] for name in Trial.__struct_fields__}) for row in rows]


async def on_trial(c: Connection) -> set[str]:
    """Return the contacts that get no test message now: one is on its way, or five were lately.

    Needs a transaction; until its end nobody else is told.
    """
    await c.execute(_SQL["alone"])
    return {row["contact"] for row in await c.fetch(_SQL["on_trial"])}
