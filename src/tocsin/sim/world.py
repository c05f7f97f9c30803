"""A world in virtual time: the production core with modelled timers and a modelled courier."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from tocsin.core.desk import decide_desk, service_of
from tocsin.core.effects import SendNotice, SendPage, TellDesk, TellIncident
from tocsin.core.events import IncidentEvent, NoticeAsked, PageAsked
from tocsin.core.evolve import evolve, evolve_desk
from tocsin.core.incident import decide, new_incident
from tocsin.core.inputs import (
    DeliveryReported,
    DeskInput,
    IncidentDeclared,
    IncidentInput,
    Signal,
    SignalReceived,
    TimerFired,
)
from tocsin.core.state import DeskState, IncidentState
from tocsin.core.timers import timers_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tocsin.core.effects import Effect
    from tocsin.core.policy import Policy
    from tocsin.core.surroundings import Surroundings


class Sent(msgspec.Struct, frozen=True):
    """One message that left: who or what it went to, why, and by which line of the runbook."""

    at: datetime
    kind: str
    to: str
    via: str
    because: str
    line: int


class World:
    """Desks and incidents under one policy, and everything they sent.

    ``courier`` says whether a message is delivered, None while nobody knows; by default every
    one is.
    """

    def __init__(
        self,
        policy: Policy,
        surroundings: Surroundings,
        at: datetime,
        courier: Callable[[SendPage | SendNotice], bool | None] = lambda _: True,
    ) -> None:
        """Begin an empty world at that instant."""
        self.policy = policy
        self.surroundings = surroundings
        self.at = at
        self.desks: dict[str, DeskState] = {}
        self.incidents: dict[str, IncidentState] = {}
        self.journal: dict[str, list[tuple[datetime, IncidentEvent]]] = {}
        self.sent: list[Sent] = []
        self._courier = courier
        self._queue: deque[tuple[str, str, DeskInput | IncidentInput]] = deque()

    def receive(self, signal: Signal) -> None:
        """Take one signal, and everything that follows from it at once."""
        self._run("desk", service_of(signal, self.surroundings.tuning), SignalReceived(signal))

    def declare(self, service: str, declared: IncidentDeclared) -> str:
        """Declare an incident; return its id."""
        self._run("desk", service, declared)
        incident = self.desks[service].incident
        assert incident is not None
        return incident

    def tell_desk(self, service: str, received: DeskInput) -> None:
        """Give a desk any other input."""
        self._run("desk", service, received)

    def act(self, incident: str, received: IncidentInput) -> str:
        """Give an incident an input; return its refusal, or ""."""
        return self._run("incident", incident, received)

    def advance(self, to: datetime) -> None:
        """Let time pass, firing every timer in its order at exactly its instant."""
        while True:
            due = [
                (at, incident, name)
                for incident, state in self.incidents.items()
                for name, at in timers_of(state).items()
            ]
            if not due or min(due)[0] > to:
                break
            at, incident, name = min(due)
            self.at = max(self.at, at)
            before = timers_of(self.incidents[incident])
            self._run("incident", incident, TimerFired(name, at))
            after = timers_of(self.incidents[incident])
            assert after.get(name) != before[name], f"{name} fired and would fire again at once"
        self.at = to

    def _run(self, kind: str, stream: str, received: DeskInput | IncidentInput) -> str:
        self._queue.append((kind, stream, received))
        refusal = self._turn()
        while self._queue:
            self._turn()
        return refusal

    def _turn(self) -> str:
        kind, stream, received = self._queue.popleft()
        if kind == "desk":
            desk = self.desks.get(stream, DeskState(stream))
            surroundings = replace(
                self.surroundings, fresh_incident_id=f"INC-{len(self.incidents) + 1}"
            )
            decision = decide_desk(self.policy.revision, desk, received, surroundings, self.at)  # type: ignore[arg-type]
            for event in decision.events:
                desk = evolve_desk(desk, event)  # type: ignore[arg-type]
            self.desks[stream] = desk
        else:
            state = self.incidents.get(stream, new_incident(stream))
            desk = self.desks.get(state.service, DeskState(state.service))
            surroundings = replace(self.surroundings, open_incident=desk.incident or "")
            decision = decide(self.policy, state, received, surroundings, self.at)  # type: ignore[arg-type]
            for event in decision.events:
                state = evolve(state, event, self.at)  # type: ignore[arg-type]
                self.journal.setdefault(stream, []).append((self.at, event))  # type: ignore[arg-type]
                self._record(event)
            self.incidents[stream] = state
        for effect in decision.effects:
            self._perform(effect)
        return decision.refusal

    def _record(self, event: object) -> None:
        if isinstance(event, PageAsked):
            via = event.contact.kind if event.contact else "app"
            self.sent.append(
                Sent(self.at, event.urgency, event.role, via, event.because, event.source.line)
            )
        elif isinstance(event, NoticeAsked):
            to = f"{event.channel} {event.target}"
            self.sent.append(
                Sent(self.at, "tell", to, event.contact.kind, event.because, event.source.line)
            )

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
