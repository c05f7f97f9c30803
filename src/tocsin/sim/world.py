"""A world in virtual time: the production core with modelled timers and a modelled courier.

What the engine does with rows is done here with dictionaries: an input is shown only the alerts that
it is about, repeats cost a look-up, and time goes from one due thing to the next.
"""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from heapq import heappop, heappush
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec.structs import replace

from tocsin.core.desk import judge_desk, service_of
from tocsin.core.effects import SendNotice, SendPage, TellDesk, TellIncident
from tocsin.core.events import IncidentEvent, NoticeAsked, PageAsked
from tocsin.core.evolve import alert_of
from tocsin.core.incident import judge, new_incident
from tocsin.core.inputs import (
    LAPSE_GRACE_S,
    AlertLapsed,
    DeliveryReported,
    DeskInput,
    IncidentDeclared,
    IncidentInput,
    Signal,
    SignalReceived,
    SilencesChanged,
    TimerFired,
    fingerprints_of,
)
from tocsin.core.repeats import Repeats
from tocsin.core.state import AlertRecord, DeskState, IncidentAlert, IncidentState
from tocsin.core.surroundings import Silence
from tocsin.core.timers import timers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from tocsin.core.effects import Effect
    from tocsin.core.events import Event
    from tocsin.core.policy import Policy
    from tocsin.core.surroundings import Surroundings
    from tocsin.sim.recording import Recorded

_LAPSE_GRACE = timedelta(seconds=LAPSE_GRACE_S)
_REMEMBERED_MAX = 200_000
_SILENCE, _LAPSE, _TIMER = range(3)
_Alert = TypeVar("_Alert")


class Sent(msgspec.Struct, frozen=True):
    """One message that left: who or what it went to, why, and by which line of the runbook."""

    at: datetime
    kind: str
    to: str
    via: str
    because: str
    line: int


class _Heard(msgspec.Struct):
    """The last that an alert's sender said: when it came, and when the alert ends by it."""

    service: str
    ends_at: datetime
    received_at: datetime

    @property
    def lapses_at(self) -> datetime:
        return max(self.ends_at, self.received_at) + _LAPSE_GRACE


class World:
    """Desks and incidents under one policy, and everything they sent.

    ``courier`` says whether a message is delivered, None while nobody knows; by default every
    one is. ``listen`` is told of every event of an incident, as (instant, incident, event); without
    it they are kept in ``journal`` and ``sent``.
    """

    def __init__(
        self,
        policy: Policy,
        surroundings: Surroundings,
        at: datetime,
        courier: Callable[[SendPage | SendNotice], bool | None] = lambda _: True,
        listen: Callable[[datetime, str, IncidentEvent], None] | None = None,
    ) -> None:
        """Begin an empty world at that instant."""
        self.policy = policy
        self.surroundings = surroundings
        self.at = at
        self.journal: dict[str, list[tuple[datetime, IncidentEvent]]] = {}
        self.sent: list[Sent] = []
        self._courier = courier
        self._listen = listen or self._record
        self._desks: dict[str, DeskState] = {}
        self._desk_alerts: dict[str, dict[str, AlertRecord]] = {}
        self._incidents: dict[str, IncidentState] = {}
        self._incident_alerts: dict[str, dict[str, IncidentAlert]] = {}
        self._timers: dict[str, dict[str, datetime]] = {}
        self._due: list[tuple[datetime, int, str, str]] = []
        self._repeats = Repeats(_REMEMBERED_MAX)
        self._heard: dict[str, _Heard] = {}
        self._queue: deque[tuple[str, str, DeskInput | IncidentInput]] = deque()

    @property
    def desks(self) -> dict[str, DeskState]:
        """Return every desk by its service, with all of its alerts."""
        return {
            name: replace(desk, alerts=dict(self._desk_alerts.get(name, {})))
            for name, desk in self._desks.items()
        }

    @property
    def incidents(self) -> dict[str, IncidentState]:
        """Return every incident by its id, with all of its alerts."""
        return {name: self.incident(name) for name in self._incidents}

    def incident(self, name: str) -> IncidentState:
        """Return one incident with all of its alerts; KeyError where there is none."""
        return replace(self._incidents[name], alerts=dict(self._incident_alerts.get(name, {})))

    def open_incident(self, service: str) -> str | None:
        """Return the incident that takes the alerts of a service now, or None."""
        desk = self._desks.get(service)
        return desk.incident if desk is not None else None

    @property
    def due_at(self) -> datetime | None:
        """Return an instant before which nothing happens by itself, or None if nothing will."""
        return self._due[0][0] if self._due else None

    @property
    def next_rung_at(self) -> datetime | None:
        """Return when an incident goes on by itself, pages that repeat aside; None if none will."""
        return min(
            (
                due_at
                for timers in self._timers.values()
                for name, due_at in timers.items()
                if not name.startswith("repeat/")
            ),
            default=None,
        )

    # -- What happens ------------------------------------------------------------------------------

    def receive(self, signal: Signal) -> None:
        """Take one signal, and everything that follows from it at once."""
        self._run("desk", service_of(signal, self.surroundings.tuning), SignalReceived(signal))

    def hear(self, signal: Signal) -> bool:
        """Take one signal as intake does: say whether it was news. What is not sent again lapses.

        Only here does an alert lapse by itself: who replays lapses gives signals to ``tell_desk``.
        """
        heard = self._heard.get(signal.fingerprint)
        if self._repeats.is_unchanged(signal, self.at):
            if heard is not None and signal.ends_at is not None:
                # Its place among what comes due is too early by now: that is found out then.
                heard.ends_at, heard.received_at = signal.ends_at, self.at
            return False
        service = service_of(signal, self.surroundings.tuning)
        if signal.ends_at is not None and signal.ends_at > self.at:
            self._hear_of(signal.fingerprint, service, signal.ends_at)
        self._repeats.remember(signal, self.at)
        self._run("desk", service, SignalReceived(signal, self.at))
        return True

    def declare(self, service: str, declared: IncidentDeclared) -> str:
        """Declare an incident; return its id."""
        self._run("desk", service, declared)
        incident = self._desks[service].incident
        assert incident is not None
        return incident

    def tell_desk(self, service: str, received: DeskInput) -> None:
        """Give a desk any other input."""
        self._run("desk", service, received)

    def take(self, recorded: Recorded) -> bool:
        """Take one record of what reached a server; False for what people did to an incident."""
        if recorded.silence is not None:
            # That its desks looked at it is a record of its own.
            self.silence(recorded.silence, turns=False)
        elif recorded.input is None or recorded.incident:
            return False
        else:
            self._run("desk", recorded.desk, recorded.input)
        return True

    def act(self, incident: str, received: IncidentInput) -> str:
        """Give an incident an input; return its refusal, or ""."""
        return self._run("incident", incident, received)

    def silence(self, silence: Silence, *, turns: bool = True) -> None:
        """Put a silence in force, or change the one of its id; desks look at what it concerns.

        Without ``turns`` they do not: who replays that they looked gives it to ``tell_desk``.
        """
        known = tuple(s for s in self.surroundings.silences if s.id == silence.id)
        others = tuple(s for s in self.surroundings.silences if s.id != silence.id)
        self.surroundings = replace(self.surroundings, silences=(*others, silence))
        if turns:
            for turns_at in (silence.starts_at, silence.ends_at):
                if turns_at > self.at:
                    heappush(self._due, (turns_at, _SILENCE, silence.id, ""))
            self._silence_turned(*known, silence)

    def advance(self, to: datetime) -> None:
        """Let time pass, and let everything that comes due happen in its order at its instant."""
        while self._due and self._due[0][0] <= to:
            due_at, kind, name, detail = heappop(self._due)
            if kind == _TIMER:
                self._fire(due_at, name, detail)
            elif kind == _LAPSE:
                self._lapse(due_at, name)
            else:
                self.at = max(self.at, due_at)
                self._silence_turned(*(s for s in self.surroundings.silences if s.id == name))
                kept = tuple(s for s in self.surroundings.silences if s.ends_at > self.at)
                self.surroundings = replace(self.surroundings, silences=kept)
        self.at = to

    # -- What comes due ----------------------------------------------------------------------------

    def _fire(self, due_at: datetime, incident: str, name: str) -> None:
        # A timer that the state does not wait for any more is still in the heap.
        if self._timers[incident].get(name) != due_at:
            return
        self.at = max(self.at, due_at)
        self._run("incident", incident, TimerFired(name, due_at))
        assert self._timers[incident].get(name) != due_at, f"{name} fired and would fire again"

    def _hear_of(self, fingerprint: str, service: str, ends_at: datetime) -> None:
        heard = self._heard.get(fingerprint)
        if heard is None:
            heard = self._heard[fingerprint] = _Heard(service, ends_at, self.at)
            heappush(self._due, (heard.lapses_at, _LAPSE, fingerprint, ""))
        else:
            heard.service, heard.ends_at, heard.received_at = service, ends_at, self.at

    def _lapse(self, due_at: datetime, fingerprint: str) -> None:
        heard = self._heard[fingerprint]
        record = self._desk_alerts.get(heard.service, {}).get(fingerprint)
        if record is None or not record.firing or record.stale:
            del self._heard[fingerprint]
        elif heard.lapses_at > due_at:
            heappush(self._due, (heard.lapses_at, _LAPSE, fingerprint, ""))
        else:
            del self._heard[fingerprint]
            self.at = max(self.at, due_at)
            # Repeats move the end without a decision.
            signal = replace(record.signal, ends_at=heard.ends_at)
            self._desk_alerts[heard.service][fingerprint] = replace(record, signal=signal)
            self._repeats.forget((fingerprint,))
            self._run("desk", heard.service, AlertLapsed(fingerprint, heard.ends_at))

    def _silence_turned(self, *silences: Silence) -> None:
        ids = {silence.id for silence in silences}
        for service, alerts in self._desk_alerts.items():
            concerned = tuple(
                fingerprint
                for fingerprint, record in alerts.items()
                if record.firing
                and (
                    record.muted_by in ids
                    or any(silence.concerns(record.signal.labels) for silence in silences)
                )
            )
            if concerned:
                self._queue.append(("desk", service, SilencesChanged(concerned)))
        while self._queue:
            self._turn()

    # -- Turns -------------------------------------------------------------------------------------

    def _run(self, kind: str, stream: str, received: DeskInput | IncidentInput) -> str:
        self._queue.append((kind, stream, received))
        refusal = self._turn()
        while self._queue:
            self._turn()
        return refusal

    def _turn(self) -> str:
        kind, stream, received = self._queue.popleft()
        if kind == "desk":
            return self._desk_turn(stream, received)  # type: ignore[arg-type]
        return self._incident_turn(stream, received)  # type: ignore[arg-type]

    def _desk_turn(self, service: str, received: DeskInput) -> str:
        desk = self._desks.get(service) or DeskState(service)
        kept = self._desk_alerts.setdefault(service, {})
        desk = replace(desk, alerts=_those(kept, received))
        surroundings = self.surroundings
        if desk.incident is None:
            fresh = f"INC-{len(self._incidents) + 1}"
            surroundings = replace(surroundings, fresh_incident_id=fresh)
        decision, desk = judge_desk(self.policy.revision, desk, received, surroundings, self.at)
        for event in decision.events:
            changed = alert_of(event)
            if changed is not None:
                kept[changed] = desk.alerts[changed]
        self._desks[service] = replace(desk, alerts={})
        for effect in decision.effects:
            self._perform(effect)
        return decision.refusal

    def _incident_turn(self, incident: str, received: IncidentInput) -> str:
        state = self._incidents.get(incident) or new_incident(incident)
        kept = self._incident_alerts.setdefault(incident, {})
        state = replace(state, alerts=_those(kept, received))
        surroundings = replace(
            self.surroundings, open_incident=self.open_incident(state.service) or ""
        )
        decision, state = judge(self.policy, state, received, surroundings, self.at)
        for event in decision.events:
            changed = alert_of(event)
            if changed is not None:
                kept[changed] = state.alerts[changed]
            self._listen(self.at, incident, event)  # type: ignore[arg-type]
        self._incidents[incident] = replace(state, alerts={})
        self._set_timers(incident, state)
        for effect in decision.effects:
            self._perform(effect)
        return decision.refusal

    def _set_timers(self, incident: str, state: IncidentState) -> None:
        before, now = self._timers.get(incident, {}), timers_of(state)
        if now != before:
            self._timers[incident] = now
            for name, due_at in now.items():
                if before.get(name) != due_at:
                    heappush(self._due, (due_at, _TIMER, incident, name))

    def _record(self, at: datetime, incident: str, event: Event) -> None:
        self.journal.setdefault(incident, []).append((at, event))  # type: ignore[arg-type]
        if isinstance(event, PageAsked):
            via = event.contact.kind if event.contact else "app"
            self.sent.append(
                Sent(at, event.urgency, event.role, via, event.because, event.source.line)
            )
        elif isinstance(event, NoticeAsked):
            to = f"{event.channel} {event.target}"
            line = event.source.line
            self.sent.append(Sent(at, "tell", to, event.contact.kind, event.because, line))

    def _perform(self, effect: Effect) -> None:
        match effect:
            case TellDesk(service=service, input=received):
                self._queue.append(("desk", service, received))
            case TellIncident(incident=incident, input=told):
                self._queue.append(("incident", incident, told))
            case SendPage(contact=None):
                pass
            case SendPage(message=message) | SendNotice(message=message):
                ok = self._courier(effect)
                if ok is None:
                    return
                report = DeliveryReported(effect.delivery, ok, "" if ok else "modelled failure")
                self._queue.append(("incident", message.incident, report))


def _those(kept: Mapping[str, _Alert], received: DeskInput | IncidentInput) -> dict[str, _Alert]:
    """Return the alerts that an input is about."""
    return {name: kept[name] for name in fingerprints_of(received) if name in kept}
