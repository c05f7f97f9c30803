"""Folding events into states. Replaying a journal through here gives the state again, exactly."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import singledispatch
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tocsin.core import events as ev
from tocsin.core.phases import Phase
from tocsin.core.state import (
    AlertRecord,
    Asked,
    DeskState,
    Grade,
    IncidentAlert,
    IncidentState,
    Page,
    Told,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


def evolve_desk(state: DeskState, event: ev.DeskEvent) -> DeskState:
    """Return the desk after one event."""
    match event:
        case ev.AlertPlaced():
            record = AlertRecord(
                event.signal, event.firing, event.incident, event.muted_by, event.stale
            )
            return replace(state, alerts={**state.alerts, event.signal.fingerprint: record})
        case ev.DeskOpened(incident=incident):
            return replace(state, incident=incident)
        case ev.DeskClosed():
            return replace(state, incident=None)


def evolve(state: IncidentState, event: ev.IncidentEvent, at: datetime) -> IncidentState:
    """Return the incident after one event that was judged at that instant."""
    return _evolve(event, state, at)


def fold(
    recorded: Iterable[tuple[datetime, ev.IncidentEvent]], state: IncidentState | None = None
) -> IncidentState:
    """Return the state that a journal of one incident adds up to, with all of its alerts in it."""
    state = state or IncidentState()
    alerts = dict(state.alerts)
    for at, event in recorded:
        name = alert_of(event)
        if name is None:
            state = evolve(state, event, at)
            continue
        # Each event is given its own alert and no other: a storm must not be copied alert by alert.
        known = {name: alerts[name]} if name in alerts else {}
        state = evolve(replace(state, alerts=known), event, at)
        alerts[name] = state.alerts[name]
    return replace(state, alerts=alerts)


def fold_desk(recorded: Iterable[ev.DeskEvent], state: DeskState) -> DeskState:
    """Return the desk that a journal adds up to from ``state`` on, with all alerts in it."""
    alerts = dict(state.alerts)
    for event in recorded:
        state = evolve_desk(replace(state, alerts={}), event)
        alerts.update(state.alerts)
    return replace(state, alerts=alerts)


def alert_of(event: ev.Event) -> str | None:
    """Return the fingerprint of the alert that an event is about, or None."""
    match event:
        case ev.AlertPlaced(signal=signal) | ev.AlertJoined(signal=signal):
            return signal.fingerprint
        case ev.AlertCleared() | ev.AlertRefired() | ev.AlertWentStale() | ev.AlertMuted():
            return event.fingerprint
        case _:
            return None


@singledispatch
def _evolve(event: object, state: IncidentState, at: datetime) -> IncidentState:
    """Events that only tell a story (deliveries of notices, kept grades) change nothing."""
    return state


@_evolve.register
def _(event: ev.IncidentOpened, state: IncidentState, at: datetime) -> IncidentState:
    return replace(
        state,
        id=event.incident,
        title=event.title,
        service=event.service,
        revision=event.revision,
        declared=bool(event.by),
        phase=Phase.TRIGGERED,
        opened_at=at,
        started_at=at,
        phase_at={Phase.TRIGGERED.value: at},
    )


def _with_alert(state: IncidentState, fingerprint: str, alert: IncidentAlert) -> IncidentState:
    counts = state.alert_counts.after(state.alerts.get(fingerprint), alert)
    return replace(state, alerts={**state.alerts, fingerprint: alert}, alert_counts=counts)


@_evolve.register
def _(event: ev.AlertJoined, state: IncidentState, at: datetime) -> IncidentState:
    signal = event.signal
    alert = IncidentAlert(signal.title, signal.source, firing=True, muted_by=event.muted_by)
    return _with_alert(state, signal.fingerprint, alert)


@_evolve.register
def _(event: ev.AlertCleared, state: IncidentState, at: datetime) -> IncidentState:
    alert = state.alerts[event.fingerprint]
    return _with_alert(state, event.fingerprint, replace(alert, firing=False, stale=False))


@_evolve.register
def _(event: ev.AlertRefired, state: IncidentState, at: datetime) -> IncidentState:
    alert = state.alerts[event.fingerprint]
    again = replace(alert, firing=True, stale=False, signals=alert.signals + 1)
    return _with_alert(state, event.fingerprint, again)


@_evolve.register
def _(event: ev.AlertWentStale, state: IncidentState, at: datetime) -> IncidentState:
    alert = state.alerts[event.fingerprint]
    return _with_alert(state, event.fingerprint, replace(alert, stale=True))


@_evolve.register
def _(event: ev.AlertMuted, state: IncidentState, at: datetime) -> IncidentState:
    alert = state.alerts[event.fingerprint]
    return _with_alert(state, event.fingerprint, replace(alert, muted_by=event.muted_by))


@_evolve.register
def _(event: ev.ReportJoined, state: IncidentState, at: datetime) -> IncidentState:
    return replace(state, reports=state.reports + 1)


@_evolve.register
def _(event: ev.DeclarationJoined, state: IncidentState, at: datetime) -> IncidentState:
    return replace(state, declared=True)


@_evolve.register
def _(event: ev.SecurityBreachFound, state: IncidentState, at: datetime) -> IncidentState:
    return replace(state, security_breach=True)


@_evolve.register
def _(event: ev.SeverityGraded, state: IncidentState, at: datetime) -> IncidentState:
    grade = Grade(event.level, event.because, event.source, event.words, event.reason, event.by)
    return replace(state, grade=grade)


@_evolve.register
def _(event: ev.PlayChosen, state: IncidentState, at: datetime) -> IncidentState:
    return replace(state, play=event.play)


@_evolve.register
def _(event: ev.RungsPlanned, state: IncidentState, at: datetime) -> IncidentState:
    return replace(state, rungs=event.rungs)


@_evolve.register
def _(event: ev.Escalated, state: IncidentState, at: datetime) -> IncidentState:
    rung = event.rung
    reached = (*state.reached, *((role, rung.after_s, rung.urgency) for role in rung.roles))
    return replace(state, reached=tuple(dict.fromkeys(reached)))


def _with_page(state: IncidentState, name: str, page: Page) -> IncidentState:
    return replace(state, pages={**state.pages, name: page})


@_evolve.register
def _(event: ev.PageAsked, state: IncidentState, at: datetime) -> IncidentState:
    before = state.pages.get(event.page)
    page = Page(
        person=event.person,
        name=event.name,
        role=event.role,
        urgency=event.urgency,
        source=event.source,
        asked_at=at,
        delivery=event.delivery,
        repeats=event.repeat,
        contact=event.contact_index,
        repeat_at=event.repeat_at,
        # Sent again is not yet read: they stay out of reach until a channel takes one.
        unreachable=before is not None and before.unreachable,
    )
    asked = state.asked
    if event.contact is not None:
        under_way = Asked(event.page, event.contact, event.contact_index)
        asked = {**asked, event.delivery: under_way}
    return replace(
        _with_page(state, event.page, page), asked=asked, deliveries=state.deliveries + 1
    )


def _reported(state: IncidentState, delivery: str) -> IncidentState:
    return replace(state, asked={k: v for k, v in state.asked.items() if k != delivery})


@_evolve.register
def _(event: ev.PageDelivered, state: IncidentState, at: datetime) -> IncidentState:
    page = replace(state.pages[event.page], unreachable=False)
    if page.delivery == event.delivery:
        page = replace(page, delivered_at=at)
    return _with_page(_reported(state, event.delivery), event.page, page)


@_evolve.register
def _(event: ev.PageFailed, state: IncidentState, at: datetime) -> IncidentState:
    return _reported(state, event.delivery)


@_evolve.register
def _(event: ev.PersonUnreachable, state: IncidentState, at: datetime) -> IncidentState:
    page = state.pages[event.page]
    return _with_page(state, event.page, replace(page, unreachable=True))


@_evolve.register
def _(event: ev.PageStopped, state: IncidentState, at: datetime) -> IncidentState:
    page = state.pages[event.page]
    # Whoever is let go of before they acknowledged is asked anew when it gets worse again.
    reached = tuple(reach for reach in state.reached if reach[0] != page.role)
    stopped = replace(page, stopped=True, repeat_at=None)
    return replace(_with_page(state, event.page, stopped), reached=reached)


@_evolve.register
def _(event: ev.PageHandedOver, state: IncidentState, at: datetime) -> IncidentState:
    # The role stays reached: its new holders are asked in the same turn.
    page = replace(state.pages[event.page], stopped=True, repeat_at=None)
    return _with_page(state, event.page, page)


@_evolve.register
def _(event: ev.NoticeAsked, state: IncidentState, at: datetime) -> IncidentState:
    told = Told(event.channel, event.target, event.source)
    everyone = state.told if told in state.told else (*state.told, told)
    return replace(
        state,
        told=everyone,
        notices={**state.notices, event.delivery: told},
        deliveries=state.deliveries + 1,
    )


@_evolve.register
def _(event: ev.NoticeLeftToPerson, state: IncidentState, at: datetime) -> IncidentState:
    told = Told(event.channel, event.target, event.source)
    return state if told in state.told else replace(state, told=(*state.told, told))


@_evolve.register
def _(event: ev.IncidentAcknowledged, state: IncidentState, at: datetime) -> IncidentState:
    pages = {
        name: replace(page, acknowledged_at=at, repeat_at=None)
        if page.acknowledged_at is None and event.person in (None, page.person)
        else page
        for name, page in state.pages.items()
    }
    first = state.acknowledged_at is None
    return replace(
        state,
        pages=pages,
        acknowledged_at=at if first else state.acknowledged_at,
        acknowledged_by=event.by if first else state.acknowledged_by,
    )


@_evolve.register
def _(event: ev.PhaseChanged, state: IncidentState, at: datetime) -> IncidentState:
    phase_at = {**state.phase_at, event.phase.value: at}
    state = replace(state, phase=event.phase, phase_at=phase_at)
    if event.phase is not Phase.MONITORING:
        state = replace(state, monitoring_until=None)
    return state


@_evolve.register
def _(event: ev.MonitoringBegan, state: IncidentState, at: datetime) -> IncidentState:
    return replace(state, monitoring_until=event.until, monitoring_source=event.source)


@_evolve.register
def _(event: ev.RungsHeld, state: IncidentState, at: datetime) -> IncidentState:
    return replace(state, holds=tuple(dict.fromkeys((*state.holds, event.hold))))


@_evolve.register
def _(event: ev.RungsReleased, state: IncidentState, at: datetime) -> IncidentState:
    return replace(state, holds=tuple(h for h in state.holds if h is not event.hold))


@_evolve.register
def _(event: ev.ClocksMoved, state: IncidentState, at: datetime) -> IncidentState:
    # What happened stays written as it was told; what is still to come is counted from these.
    return replace(
        state,
        started_at=_back(state.started_at, event.by_s),
        monitoring_until=_back(state.monitoring_until, event.by_s),
        pages={
            name: replace(page, repeat_at=_back(page.repeat_at, event.by_s))
            for name, page in state.pages.items()
        },
    )


def _back(moment: datetime | None, by_s: float) -> datetime | None:
    return None if moment is None else moment - timedelta(seconds=by_s)


@_evolve.register
def _(event: ev.IncidentResolved, state: IncidentState, at: datetime) -> IncidentState:
    return replace(
        state,
        phase=Phase.RESOLVED,
        phase_at={**state.phase_at, Phase.RESOLVED.value: at},
        resolved_at=at,
        monitoring_until=None,
        holds=(),
        rungs=(),
    )


@_evolve.register
def _(event: ev.IncidentReopened, state: IncidentState, at: datetime) -> IncidentState:
    # It starts again: the clocks, the ladder, the acknowledgement. What was said stays said.
    return replace(
        state,
        phase=Phase.TRIGGERED,
        phase_at={Phase.TRIGGERED.value: at},
        started_at=at,
        acknowledged_at=None,
        acknowledged_by="",
        resolved_at=None,
        monitoring_until=None,
        holds=(),
        rungs=(),
        reached=(),
        pages={},
        asked={},
    )
