"""Which timers must exist follows from the state: no timer outlives its reason."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from tocsin.base.source import Source
from tocsin.core.policy import Clock

if TYPE_CHECKING:
    from tocsin.core.events import Rung
    from tocsin.core.state import IncidentState


class Upcoming(msgspec.Struct, frozen=True):
    """What will happen next to an incident, and why.

    ``due_at`` is when it would happen; with ``waits_for`` set it waits beyond that, and has no
    timer until the hold is lifted.
    """

    name: str
    due_at: datetime
    sentence: str
    source: Source | None = None
    waits_for: str = ""


def rung_due(state: IncidentState, rung: Rung) -> datetime:
    """Return when a rung comes due; the incident must have started."""
    assert state.started_at is not None
    return state.started_at + timedelta(seconds=rung.after_s)


def pending_rungs(state: IncidentState) -> tuple[Rung, ...]:
    """Return the rungs that can still fire, in the order of the plan."""
    if not state.is_open:
        return ()
    return tuple(
        rung
        for rung in state.rungs
        if rung.name not in state.fired
        and not (rung.clock is Clock.UNACKNOWLEDGED and state.acknowledged_at is not None)
    )


def timers_of(state: IncidentState) -> dict[str, datetime]:
    """Return every timer the state needs, by name, with the instant it comes due (UTC)."""
    if not state.is_open:
        return {}
    timers: dict[str, datetime] = {}
    if state.monitoring_until is not None:
        timers["stability"] = state.monitoring_until
    if state.holds:
        return timers
    for rung in pending_rungs(state):
        timers[f"rung/{rung.name}"] = rung_due(state, rung)
    for name, page in state.pages.items():
        if page.repeat_at is not None and page.acknowledged_at is None:
            timers[f"repeat/{name}"] = page.repeat_at
    return timers
