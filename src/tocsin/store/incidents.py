"""The view of every incident, written in the same transaction as its events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from tocsin.core.state import IncidentState, count_alerts
from tocsin.store import codec
from tocsin.store.connection import Connection
from tocsin.store.statements import statements

_SQL = statements("incidents")


async def next_id(c: Connection) -> str:
    """Return an id that no other incident has or will have: "INC-7"."""
    return f"INC-{await c.fetchval(_SQL['next_number'])}"


async def put(c: Connection, state: IncidentState, rank: int) -> None:
    """Write the view of an incident. ``rank`` is that of its severity: 0 for the worst."""
    await c.execute(_SQL["put"], *_columns(state, rank))


async def restore(c: Connection, state: IncidentState, rank: int | None, at: datetime) -> None:
    """Write the view of an incident that changed last at an instant of the past.

    With None the rank stays as it is, or is the worst of all: what nobody can rank is seen first.
    """
    if rank is None:
        row = await c.fetchrow(_SQL["view"], codec.key(state.id))
        rank = 0 if row is None else row["rank"]
    await c.execute(_SQL["restore"], *_columns(state, rank), codec.moment(at))


async def is_as(c: Connection, state: IncidentState, rank: int | None) -> bool:
    """Say whether the view of an incident is what ``put`` would write; None fits any rank."""
    row = await c.fetchrow(_SQL["view"], codec.key(state.id))
    if row is None:
        return False
    expected = _columns(state, row["rank"] if rank is None else rank)
    try:
        held = codec.decode(row["state"], IncidentState)
    except msgspec.DecodeError:
        return False
    return held == state and tuple(row)[:-1] == expected[:-1]


def _columns(state: IncidentState, rank: int) -> tuple[object, ...]:
    return (
        codec.key(state.id),
        codec.text(state.title),
        codec.key(state.service),
        codec.key(state.severity),
        rank,
        state.phase.value,
        state.is_open,
        None if state.opened_at is None else codec.moment(state.opened_at),
        codec.encode(state),
    )


async def get(c: Connection, id: str) -> IncidentState | None:  # noqa: A002 - the contract's word
    """Return an incident, or None if there is none of that id."""
    row = await c.fetchrow(_SQL["get"], codec.key(id))
    return None if row is None else _state(row["state"])


async def find(
    c: Connection,
    *,
    phases: Sequence[str] = (),
    severity: str = "",
    service: str = "",
    open_only: bool = False,
    limit: int = 100,
) -> list[IncidentState]:
    """Return the incidents that fit all conditions given: open first, worst first, then newest."""
    rows = await c.fetch(
        _SQL["find"],
        [codec.key(phase) for phase in phases],
        codec.key(severity),
        codec.key(service),
        open_only,
        limit,
    )
    return [_state(row["state"]) for row in rows]


async def last_of(c: Connection, service: str) -> str | None:
    """Return the id of the incident of a service that was opened last; None if it never had one."""
    found = await c.fetchval(_SQL["last_of"], codec.key(service))
    return None if found is None else str(found)


async def ended(c: Connection, since: datetime, *, limit: int = 100) -> list[IncidentState]:
    """Return the incidents that are over and changed since then, the last changed first."""
    rows = await c.fetch(_SQL["ended"], codec.moment(since), limit)
    return [_state(row["state"]) for row in rows]


def _state(held: bytes) -> IncidentState:
    state = codec.decode(held, IncidentState)
    if state.alerts and not state.alert_counts.total:
        # Of the time when states held their alerts, and did not count them.
        counts = count_alerts(state.alerts.values())
        return msgspec.structs.replace(state, alert_counts=counts)
    return state
