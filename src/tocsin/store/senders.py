"""Who sends us signals, and when they last did. What only repeats counts too: it shows life."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from tocsin.store import codec
from tocsin.store.connection import Connection
from tocsin.store.statements import statements

_SQL = statements("senders")


class Heard(msgspec.Struct, frozen=True):
    """What one process heard of one sender since it last said so.

    ``seconds_ago`` counts from now to the last signal: clocks of processes differ, spans do not.
    """

    name: str
    source: str
    signals: int
    seconds_ago: float


class SenderRow(msgspec.Struct, frozen=True):
    """A sender: the name of its credential, and the integration it speaks to (times in UTC)."""

    name: str
    source: str
    first_seen_at: datetime
    seen_at: datetime
    signals: int


async def note(c: Connection, heard: Sequence[Heard]) -> None:
    """Add what was heard, each sender and source once."""
    if not heard:
        return
    # Sorted, so that two processes that write the same rows wait for each other instead of dying.
    rows = sorted(heard, key=lambda h: (codec.key(h.name), codec.key(h.source)))
    await c.execute(
        _SQL["note"],
        [codec.key(h.name) for h in rows],
        [codec.key(h.source) for h in rows],
        [h.signals for h in rows],
        [max(h.seconds_ago, 0.0) for h in rows],
    )


async def find(c: Connection) -> list[SenderRow]:
    """Return all that ever sent something, the longest silent first."""
    return [SenderRow(*row) for row in await c.fetch(_SQL["find"])]
