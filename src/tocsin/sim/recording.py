"""What reached a server, read off its journal: the inputs that a replay gives to another policy.

The journal holds events, which are the old verdict. Here they become the facts behind them again:
signals, lapses, declarations, silences and what people did. What follows from those (timers, what a
desk tells its incident, who was paged) is left out: the replay decides it anew.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from tocsin.core import events as ev
from tocsin.core import inputs as inp
from tocsin.core.desk import REPORT
from tocsin.core.events import Because, GradedBecause
from tocsin.core.inputs import Input
from tocsin.core.phases import Phase
from tocsin.core.surroundings import Silence

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = 1
TITLE = "recorded inputs"


class Beginning(msgspec.Struct, frozen=True):
    """The first line of an export. ``documents`` is the runbook in force, by path."""

    tocsin: str
    format: int
    since: datetime
    until: datetime
    revision: str = ""
    documents: dict[str, str] = {}


class End(msgspec.Struct, frozen=True):
    """The last line of an export that is whole: how many records came before it.

    ``left_out`` counts what people did to incidents that began before the export does.
    """

    records: int
    left_out: int = 0


class Recorded(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that reached us: a ``silence``, or an ``input`` of a desk or of an incident.

    Of an incident's input, ``opened_at`` is when the incident opened, and ``after_page_s`` how long
    after its first page the input came, in seconds; None where nobody had been paged.
    """

    at: datetime
    desk: str = ""
    incident: str = ""
    input: Input | None = None
    opened_at: datetime | None = None
    after_page_s: float | None = None
    silence: Silence | None = None


class _Incident(msgspec.Struct):
    """What has to be known of an incident to tell what people did from what followed of itself."""

    service: str
    opened_at: datetime
    paged_at: datetime | None = None
    before: tuple[datetime, ev.Event] | None = None
    declared: tuple[datetime, inp.IncidentDeclared] | None = None
    senders: set[str] = msgspec.field(default_factory=set)


class Recorder:
    """Reads journals in the order of time; of one instant, desks before incidents."""

    def __init__(self) -> None:
        """Begin with nothing known."""
        self.left_out = 0
        self._alerts: dict[str, ev.AlertPlaced] = {}
        self._incidents: dict[str, _Incident] = {}
        self._declaring: list[_Incident] = []

    def take_desk(self, at: datetime, service: str, event: ev.DeskEvent) -> Iterator[Recorded]:
        """Yield what reached a desk, by one of its events."""
        yield from self._flush(before=at)
        if not isinstance(event, ev.AlertPlaced):
            return
        fingerprint = event.signal.fingerprint
        before = self._alerts.get(fingerprint)
        self._alerts[fingerprint] = event
        if before is not None and before.firing and event.firing:
            if event.stale and not before.stale and event.signal.ends_at is not None:
                lapsed = inp.AlertLapsed(fingerprint, event.signal.ends_at)
                yield Recorded(at, service, input=lapsed)
                return
            same_start = event.signal.starts_at == before.signal.starts_at
            if event.stale or (same_start and before.muted_by != event.muted_by):
                # A silence turned; when its desk looked is a fact too.
                yield Recorded(at, service, input=inp.SilencesChanged((fingerprint,)))
                return
        yield Recorded(at, service, input=_received(event, at))

    def take_incident(
        self, at: datetime, incident: str, event: ev.IncidentEvent
    ) -> Iterator[Recorded]:
        """Yield what people did to an incident, by one of its events."""
        yield from self._flush(before=at)
        known = self._incidents.get(incident)
        if isinstance(event, ev.IncidentOpened):
            known = self._incidents[incident] = _Incident(event.service, at)
        if known is None:
            self.left_out += _is_by_person(event)
            return
        paged_at = known.paged_at
        if isinstance(event, ev.PageAsked) and paged_at is None:
            known.paged_at = at
        if known.declared is not None:
            declared = self._with(known, at, event)
            if declared is not None:
                known.declared = declared
                known.before = (at, event)
                return
        yield from self._flush(known)
        act = self._act(known, at, event)
        if isinstance(act, inp.IncidentDeclared):
            known.declared = (at, act)
            self._declaring.append(known)
        elif act is not None:
            yield Recorded(
                at,
                known.service,
                incident,
                act,
                known.opened_at,
                None if paged_at is None else (at - paged_at).total_seconds(),
            )
        if isinstance(event, ev.AlertJoined):
            known.senders.add(event.signal.source)
        elif isinstance(event, ev.ReportJoined):
            known.senders.add(REPORT)
        known.before = (at, event)

    def end(self) -> Iterator[Recorded]:
        """Yield what was still waiting for its last event."""
        yield from self._flush()

    def _flush(
        self, one: _Incident | None = None, before: datetime | None = None
    ) -> Iterator[Recorded]:
        """Yield declarations that nothing can be added to any more, of one incident or of all."""
        for known in [k for k in self._declaring if one is None or k is one]:
            assert known.declared is not None, "it is declaring"
            at, declared = known.declared
            if before is None or at < before:
                self._declaring.remove(known)
                known.declared = None
                yield Recorded(at, known.service, input=declared)

    def _with(
        self, known: _Incident, at: datetime, event: ev.IncidentEvent
    ) -> tuple[datetime, inp.IncidentDeclared] | None:
        """Return a declaration with what one of its further events says; None for any other."""
        assert known.declared is not None
        since, declared = known.declared
        if at != since:
            return None
        match event:
            case ev.SecurityBreachFound(by=declared.by):
                return since, replace(declared, security_breach=True)
            case ev.SeverityGraded(because=GradedBecause.PERSON, by=declared.by, reason=""):
                return (
                    (since, replace(declared, severity=event.level))
                    if (declared.severity is None)
                    else None
                )
            case ev.SeverityGraded(because=GradedBecause.PERSON):
                return None
            case ev.IncidentReopened(because=Because.PERSON, by=declared.by, reason=""):
                return since, declared
        return None if _is_by_person(event) or isinstance(event, ev.AlertJoined) else known.declared

    def _act(  # noqa: C901 - a case each
        self, known: _Incident, at: datetime, event: ev.IncidentEvent
    ) -> inp.IncidentInput | inp.IncidentDeclared | None:
        before = known.before[1] if known.before is not None and known.before[0] == at else None
        act: inp.IncidentInput | inp.IncidentDeclared | None = None
        match event:
            case ev.IncidentOpened(by=by, title=title) if by:
                act = inp.IncidentDeclared(title, by)
            case ev.DeclarationJoined(by=by, title=title):
                act = inp.IncidentDeclared(title, by)
            case ev.IncidentAcknowledged(by=by, via=via, person=person):
                act = inp.Acknowledged(by, via, person)
            case ev.PhaseChanged(because=Because.PERSON, by=by, phase=phase):
                follows = isinstance(before, ev.IncidentAcknowledged)
                if not (follows and phase is Phase.ACKNOWLEDGED):
                    act = inp.PhaseMoved(by, phase)
            case ev.SeverityGraded(because=GradedBecause.PERSON):
                act = inp.SeverityChosen(event.by, event.level, event.reason)
            case ev.SecurityBreachFound(by=by) if by not in known.senders:
                act = inp.SecurityBreachDeclared(by)
            case ev.NoteAdded(by=by, text=text):
                act = inp.NoteWritten(by, text)
            case ev.IncidentResolved(because=Because.PERSON, by=by, reason=reason):
                act = inp.ResolvedByPerson(by, reason)
            case ev.IncidentReopened(because=Because.PERSON, by=by, reason=reason):
                act = inp.ReopenedByPerson(by, reason)
        return act


def _received(event: ev.AlertPlaced, at: datetime) -> inp.SignalReceived:
    """Return the signal as it came: it was judged by when it was received, which was before."""
    ends_at = event.signal.ends_at
    if event.firing and ends_at is not None and ends_at <= at:
        return inp.SignalReceived(event.signal, ends_at - timedelta(microseconds=1))
    return inp.SignalReceived(event.signal, at)


def _is_by_person(event: ev.IncidentEvent) -> bool:
    match event:
        case ev.IncidentAcknowledged() | ev.NoteAdded() | ev.DeclarationJoined():
            return True
        case (
            ev.PhaseChanged(because=Because.PERSON)
            | ev.IncidentResolved(because=Because.PERSON)
            | ev.IncidentReopened(because=Because.PERSON)
            | ev.SeverityGraded(because=GradedBecause.PERSON)
        ):
            return True
        case _:
            return False
