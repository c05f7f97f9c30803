"""Which timers must exist follows from the state: no timer outlives its reason."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from tocsin.base.source import Source
from tocsin.core.events import Hold
from tocsin.core.policy import Clock, Urgency

if TYPE_CHECKING:
    from tocsin.core.events import Rung
    from tocsin.core.state import IncidentState

_WAITS_FOR = {
    Hold.MONITORING: "Waits while the incident is being monitored",
    Hold.SILENCED: "Waits while every firing alert is silenced",
}


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
        # By whom it reaches and not by its name, which another line of the runbook may share.
        if any((role, rung.after_s, rung.urgency) not in state.reached for role in rung.roles)
        and not (rung.clock is Clock.UNACKNOWLEDGED and state.acknowledged_at is not None)
    )


def upcoming(state: IncidentState) -> tuple[Upcoming, ...]:
    """Return what will happen to an incident unless somebody acts, soonest first.

    What is held back is listed too, with the reason it waits. Empty for an incident that is over.
    """
    if not state.is_open:
        return ()
    waits_for = _WAITS_FOR[state.holds[0]] if state.holds else ""
    found = [
        Upcoming(
            name=f"rung/{rung.name}",
            due_at=rung_due(state, rung),
            sentence=_say_rung(rung),
            source=rung.source,
            waits_for=waits_for,
        )
        for rung in pending_rungs(state)
    ]
    found += [
        Upcoming(
            name=f"repeat/{name}",
            due_at=page.repeat_at,
            sentence=f"pages {page.name} again unless they acknowledge",
            source=page.source,
            waits_for=waits_for,
        )
        for name, page in state.pages.items()
        if page.repeat_at is not None and page.acknowledged_at is None
    ]
    if state.monitoring_until is not None:
        monitoring = f"resolves {state.id} unless something fires again"
        source = state.monitoring_source
        found.append(Upcoming("stability", state.monitoring_until, monitoring, source))
    return tuple(sorted(found, key=lambda u: (u.due_at, u.name)))


def say_roles(roles: tuple[str, ...]) -> str:
    """Return roles as a list in a sentence: "team lead and engineering manager"."""
    words = [role if role.isupper() else role.lower() for role in roles]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _say_rung(rung: Rung) -> str:
    verb = "pages" if rung.urgency is Urgency.PAGE else "tells"
    who = say_roles(rung.roles)
    if rung.reaches_nobody_new:
        return f"{verb} the {who} again: this severity has no further rung"
    if rung.clock is Clock.UNACKNOWLEDGED:
        return f"{verb} the {who} unless somebody acknowledges"
    if rung.clock is Clock.UNRESOLVED:
        return f"{verb} the {who} unless it is resolved"
    return f"{verb} the {who}"


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
