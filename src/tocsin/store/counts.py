"""How much stands in the database: what ``/metrics`` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tocsin.store.statements import statements

if TYPE_CHECKING:
    from tocsin.store.connection import Connection

_SQL = statements("counts")
_COUNTS = msgspec.json.Decoder(dict[str, int])


class Standing(msgspec.Struct, frozen=True):
    """The counts of one moment. ``oldest_due_s`` is 0 when no timer is overdue.

    A severity or state that nothing has is missing.
    """

    alerts_firing: int
    inbox_waiting: int
    quarantined: int
    oldest_due_s: float
    incidents_by_severity: dict[str, int]
    deliveries_by_state: dict[str, int]


async def standing(c: Connection) -> Standing:
    """Return the counts of now."""
    row = await c.fetchrow(_SQL["standing"])
    assert row is not None  # A statement without FROM has one row.
    return Standing(
        alerts_firing=row["alerts_firing"],
        inbox_waiting=row["inbox_waiting"],
        quarantined=row["quarantined"],
        oldest_due_s=float(row["oldest_due_s"]),
        incidents_by_severity=_COUNTS.decode(row["incidents_by_severity"]),
        deliveries_by_state=_COUNTS.decode(row["deliveries_by_state"]),
    )
