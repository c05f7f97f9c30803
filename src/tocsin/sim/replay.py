"""Recorded inputs under another policy. People are not recorded there: how they act is a model.

Signals, lapses, declarations and silences come when they came. What people did to an incident is done
to its counterpart: the incident that is open on the same desk when the recorded one opened.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from heapq import heappop, heappush
from typing import TYPE_CHECKING

import msgspec

from tocsin.core import inputs as inp
from tocsin.core.events import IncidentEvent, PageAsked
from tocsin.sim.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from tocsin.core.policy import Policy
    from tocsin.core.surroundings import Surroundings
    from tocsin.sim.recording import Recorded


class Humans(StrEnum):
    """When people do in a replay what they did to an incident.

    At the same instant; as long after the first page as then; or never.
    """

    SAME_INSTANT = "same-instant"
    SAME_DELAY = "same-delay"
    NONE = "none"


class Counts(msgspec.Struct):
    """What came of the acts of people: done, refused, or without anything to do them to."""

    done: int = 0
    refused: int = 0
    without_page: int = 0
    without_incident: int = 0
    refusals: dict[str, int] = {}


class _Told(msgspec.Struct):
    """A recorded incident that people acted on, and the one that stands for it here."""

    opened_at: datetime
    desk: str
    acts: list[Recorded]
    here: str | None = None
    waiting: list[Recorded] = []


class Replay:
    """One world that recorded inputs are given to, in their order.

    ``acts`` holds what people did, which must be known ahead: a page that comes earlier here is
    acknowledged earlier.
    """

    def __init__(
        self,
        policy: Policy,
        surroundings: Surroundings,
        at: datetime,
        *,
        acts: Iterable[Recorded] = (),
        humans: Humans = Humans.SAME_DELAY,
        listen: Callable[[datetime, str, IncidentEvent], None] = lambda at, incident, event: None,
    ) -> None:
        """Begin with nothing open at that instant."""
        self.counts = Counts()
        self.humans = humans
        self.world = World(policy, surroundings, at, listen=self._hear)
        self._listen = listen
        self._told = [] if humans is Humans.NONE else _by_incident(acts)
        self._told.reverse()
        self._paged_at: dict[str, datetime] = {}
        self._awaiting: dict[str, list[_Told]] = {}
        self._planned: list[tuple[datetime, int, str, inp.Input]] = []
        self._numbers = 0

    def hear(self, signal: inp.Signal, at: datetime) -> None:
        """Take a signal of a sender that sends again what fires: what it does not lapses."""
        if at > self.world.at:
            self.advance(at)
        self.world.hear(signal)

    def take(self, recorded: Recorded) -> None:
        """Take one recorded input; what people did to an incident was given at the start."""
        if recorded.at > self.world.at:
            self.advance(recorded.at)
        self.world.take(recorded)

    def advance(self, to: datetime) -> None:
        """Let time pass: timers fire, and people do what they are going to do."""
        world = self.world
        while self._told or self._planned or self._awaiting:
            self._bind(to)
            acts_at = self._planned[0][0] if self._planned else to
            opens_at = self._told[-1].opened_at if self._told else to
            due_at = world.due_at
            if due_at is not None and due_at <= min(acts_at, opens_at, to):
                # One instant after the other: a page may be what somebody waits for to act.
                world.advance(max(due_at, world.at))
            elif acts_at < to and acts_at <= opens_at:
                _, _, incident, act = heappop(self._planned)
                world.advance(max(acts_at, world.at))
                self._act(incident, act)
            elif opens_at < to:
                # Whatever was told in that instant has been taken by now: see what it opened.
                world.advance(max(opens_at, world.at))
            else:
                break
        world.advance(to)

    # -- People ------------------------------------------------------------------------------------

    def _bind(self, before: datetime) -> None:
        while self._told and self._told[-1].opened_at <= self.world.at:
            if self._told[-1].opened_at >= before:
                return
            told = self._told.pop()
            told.here = self.world.open_incident(told.desk)
            if told.here is None:
                self.counts.without_incident += len(told.acts)
            elif self.humans is Humans.SAME_INSTANT:
                for act in told.acts:
                    self._plan(act.at, told.here, act)
            else:
                self._plan_after_page(told)

    def _plan_after_page(self, told: _Told) -> None:
        assert told.here is not None
        paged_at = self._paged_at.get(told.here)
        told.waiting = []
        for act in told.acts:
            if act.after_page_s is None:
                # Nobody had been paged: somebody looked by himself, and does so here.
                self._plan(act.at, told.here, act)
            elif paged_at is None:
                told.waiting.append(act)
            else:
                self._plan(paged_at + timedelta(seconds=act.after_page_s), told.here, act)
        if told.waiting:
            self._awaiting.setdefault(told.here, []).append(told)

    def _plan(self, at: datetime, incident: str, act: Recorded) -> None:
        assert act.input is not None
        self._numbers += 1
        planned = (max(at, self.world.at), self._numbers, incident, act.input)
        heappush(self._planned, planned)

    def _act(self, incident: str, act: inp.Input) -> None:
        refusal = self.world.act(incident, act)  # type: ignore[arg-type] # by its record
        if refusal:
            self.counts.refused += 1
            what = type(act).__name__
            self.counts.refusals[what] = self.counts.refusals.get(what, 0) + 1
        else:
            self.counts.done += 1

    def _hear(self, at: datetime, incident: str, event: IncidentEvent) -> None:
        if isinstance(event, PageAsked) and incident not in self._paged_at:
            self._paged_at[incident] = at
            for told in self._awaiting.pop(incident, ()):
                for act in told.waiting:
                    assert act.after_page_s is not None
                    self._plan(at + timedelta(seconds=act.after_page_s), incident, act)
        self._listen(at, incident, event)

    def end(self, at: datetime) -> None:
        """Let time pass until the recording ends, and count who was never asked to act."""
        self.advance(at + timedelta(microseconds=1))
        self.counts.without_page = sum(
            len(told.waiting) for waiting in self._awaiting.values() for told in waiting
        )
        self.counts.without_incident += sum(len(told.acts) for told in self._told)


def _by_incident(acts: Iterable[Recorded]) -> list[_Told]:
    found: dict[str, _Told] = {}
    for act in acts:
        assert act.opened_at is not None, "an act on an incident says when that opened"
        told = found.get(act.incident)
        if told is None:
            told = found[act.incident] = _Told(act.opened_at, act.desk, [])
        told.acts.append(act)
    return sorted(found.values(), key=lambda told: told.opened_at)
