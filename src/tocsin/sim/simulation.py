"""What would happen: an incident in virtual time, with people who acknowledge and resolve on time."""

from __future__ import annotations

from datetime import timedelta
from heapq import heappop, heappush
from typing import TYPE_CHECKING

import msgspec

from tocsin.core.events import IncidentOpened, PageAsked
from tocsin.core.inputs import (
    Acknowledged,
    ResolvedByPerson,
    Signal,
)
from tocsin.sim.world import World

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.core.events import Event, IncidentEvent
    from tocsin.core.inputs import IncidentInput
    from tocsin.core.policy import Play, Policy
    from tocsin.core.surroundings import Surroundings
    from tocsin.sim.recording import Recorded

LASTS_MAX = timedelta(days=30)
"""How long a simulation goes on at most when nobody says how long."""
SERVICE = "simulation"
_NOBODY = "Somebody"


class Happened(msgspec.Struct, frozen=True):
    """One event of an incident, at its instant of virtual time."""

    at: datetime
    incident: str
    event: Event


class Simulation:
    """One run. ``happened`` grows in the order of time.

    ``ack_after`` counts from the first page of each incident, ``resolve_after`` from its opening;
    None means never. Whoever was paged first does it.
    """

    def __init__(
        self,
        policy: Policy,
        surroundings: Surroundings,
        at: datetime,
        *,
        ack_after: timedelta | None = None,
        resolve_after: timedelta | None = None,
    ) -> None:
        """Begin with nothing open at that instant."""
        self.happened: list[Happened] = []
        self.world = World(policy, surroundings, at, listen=self._hear)
        self._ack_after = ack_after
        self._resolve_after = resolve_after
        self._first_paged: dict[str, str] = {}
        self._planned: list[tuple[datetime, int, str, str]] = []

    def hear(self, signal: Signal, at: datetime) -> None:
        """Take a signal as intake does."""
        self.advance(at)
        self.world.hear(signal)

    def take(self, recorded: Recorded) -> bool:
        """Take one input of a recording; False for what people did: people are modelled here."""
        self.advance(recorded.at)
        return self.world.take(recorded)

    def advance(self, to: datetime) -> None:
        """Let time pass, and people act in it; an instant that is over changes nothing."""
        while self._planned or self.world.due_at is not None:
            act_at = self._planned[0][0] if self._planned else None
            due_at = self.world.due_at
            if act_at is not None and act_at <= to and (due_at is None or act_at < due_at):
                _, _, incident, what = heappop(self._planned)
                self.world.advance(max(act_at, self.world.at))
                self.world.act(incident, self._input(incident, what))
            elif due_at is not None and due_at <= to:
                self.world.advance(max(due_at, self.world.at))
            else:
                break
        self.world.advance(max(to, self.world.at))

    def finish(self, lasts: timedelta | None = None) -> None:
        """Go on for so long, or else until pages that repeat are all that still happens."""
        started_at = self.happened[0].at if self.happened else self.world.at
        if lasts is not None:
            self.advance(started_at + lasts)
            return
        while True:
            acts = [self._planned[0][0]] if self._planned else []
            rung_at = self.world.next_rung_at
            coming = [at for at in (*acts, rung_at) if at is not None]
            if not coming or min(coming) > started_at + LASTS_MAX:
                return
            self.advance(min(coming))

    def _input(self, incident: str, what: str) -> IncidentInput:
        who = self._first_paged.get(incident, _NOBODY)
        if what == "resolve":
            return ResolvedByPerson(who)
        return Acknowledged(who, "the simulation")

    def _hear(self, at: datetime, incident: str, event: IncidentEvent) -> None:
        self.happened.append(Happened(at, incident, event))
        if isinstance(event, IncidentOpened) and self._resolve_after is not None:
            self._plan(at + self._resolve_after, incident, "resolve")
        if isinstance(event, PageAsked) and incident not in self._first_paged:
            self._first_paged[incident] = event.name
            if self._ack_after is not None:
                self._plan(at + self._ack_after, incident, "ack")

    def _plan(self, at: datetime, incident: str, what: str) -> None:
        heappush(self._planned, (at, len(self.happened), incident, what))


def signal_of(at: datetime, *, scenario: Play | None = None, severity: str = "") -> Signal:
    """Return the signal that begins a simulated incident.

    It says the scenario's symptoms in the runbook's own words, and the severity as a label.
    """
    title = scenario.name if scenario is not None else f"Simulated {severity or 'incident'}"
    labels = {"alertname": title, "service": SERVICE}
    if severity:
        labels["severity"] = severity
    annotations = {}
    if scenario is not None:
        said = [symptom.text.rstrip(".") for symptom in scenario.symptoms]
        annotations = {"summary": scenario.name, "description": ". ".join(said)}
    return Signal("simulated", SERVICE, title, at, labels, annotations, key=SERVICE)
