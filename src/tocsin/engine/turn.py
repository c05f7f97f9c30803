"""One turn: claim a stream, take what waits for it, decide, and commit everything at once.

Events, rows, inputs to other streams, timers and deliveries stand or fall together. If the process
dies before the commit nothing happened, and the inputs still wait.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec.structs import replace

from tocsin.base import faults
from tocsin.core.desk import judge_desk
from tocsin.core.effects import SendNotice, SendPage, TellDesk, TellIncident
from tocsin.core.evolve import alert_of
from tocsin.core.incident import judge, new_incident
from tocsin.core.inputs import (
    HUMAN_INPUTS,
    AlertTold,
    DeclarationTold,
    ReopenedByPerson,
    fingerprints_of,
)
from tocsin.core.state import DeskState, IncidentState, count_alerts
from tocsin.core.surroundings import Surroundings
from tocsin.core.timers import timers_of
from tocsin.store import (
    alerts,
    clock,
    codec,
    deliveries,
    inbox,
    incident_alerts,
    incidents,
    journal,
    live,
    silences,
    streams,
    timers,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tocsin.core.effects import Effect
    from tocsin.core.events import Event
    from tocsin.core.inputs import DeskInput, IncidentInput, Input
    from tocsin.core.state import AlertRecord, IncidentAlert
    from tocsin.core.surroundings import Directory, Tuning
    from tocsin.engine.book import Book
    from tocsin.store import Connection, Database
    from tocsin.store.inbox import Waiting

BATCH_MAX = 500
DESK = "desk/"
INCIDENT = "incident/"
_UNNUMBERED = "INC-?"
_ALERTS_MOVED_MAX = 1_000_000
_Alert = TypeVar("_Alert")


class DeskHeader(msgspec.Struct, frozen=True):
    """What of a desk is kept as state; its alerts are rows."""

    incident: str | None = None


class _Form(msgspec.Struct, frozen=True):
    """What tells the forms of an incident's state apart: the old one holds alerts, uncounted."""

    alert_counts: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Outcome(msgspec.Struct):
    """What one turn did: how many inputs it decided, and which other streams now have work.

    ``sender`` is on whose account they have it, "" for people and ourselves. ``sends`` says that
    something is to be delivered.
    """

    decided: int = 0
    woke: tuple[str, ...] = ()
    sender: str = ""
    sends: bool = False


def desk_stream(service: str) -> str:
    """Return the name of a service's desk stream."""
    return f"{DESK}{service}"


def incident_stream(incident: str) -> str:
    """Return the name of an incident's stream."""
    return f"{INCIDENT}{incident}"


class Turns:
    """Runs turns under the runbook in force and the people and settings of now."""

    def __init__(
        self, database: Database, book: Book, directory: Directory, tuning: Tuning
    ) -> None:
        """Take what every decision needs from outside its stream."""
        self._database = database
        self._book = book
        self._directory = directory
        self._tuning = tuning

    async def run(
        self,
        stream: str,
        *,
        limit: int = BATCH_MAX,
        wait: bool = False,
        taken: list[int] | None = None,
    ) -> Outcome:
        """Run one turn of a stream; without ``wait``, do nothing where another process has it.

        ``taken`` is given the ids of the inputs that the turn took, for the case that it fails. It
        stays empty where the stream itself cannot be read. Raises store.Unavailable when the
        database goes away: then nothing of the turn happened.
        """
        async with self._database.transaction() as connection:
            is_desk = stream.startswith(DESK)
            if is_desk:
                await silences.hold(connection)
            claimed = await streams.claim(connection, stream, wait=wait)
            if claimed is None:
                return Outcome()
            at = await clock.hold(connection)
            if at is None:
                # The clock went back, and what waits here was not told yet: see the timekeeper.
                return Outcome()
            surroundings = Surroundings(
                directory=self._directory,
                tuning=self._tuning,
                silences=await silences.active(connection, at) if is_desk else (),
                fresh_incident_id=_UNNUMBERED,
            )
            kind = _DeskTurn if is_desk else _IncidentTurn
            turn = kind(self._book, stream, surroundings, at)
            turn.restore(claimed.state)
            await turn.prepare(connection)
            waiting = _first(await inbox.take(connection, stream, limit))
            if not waiting:
                return Outcome()
            if taken is not None:
                taken.extend(item.id for item in waiting)
            await turn.load(connection, [item.input for item in waiting])
            faults.reach("turn.claimed")
            refusals: dict[int, str] = {}
            for item in waiting:
                refusals[item.id] = await turn.decide(connection, item)
            faults.reach("turn.decided")
            await turn.save(connection, claimed.seq)
            sender = next((item.sender for item in waiting if item.sender), "")
            sends = await _perform(connection, stream, turn.effects, sender)
            acts = any(isinstance(item.input, HUMAN_INPUTS) for item in waiting)
            await inbox.finish(connection, refusals, [w.id for w in waiting], acts=acts)
            outcome = Outcome(len(waiting), _woken(turn.effects), sender, sends)
            faults.reach("turn.before_commit")
        faults.reach("turn.after_commit")
        return outcome


class _DeskTurn:
    """A batch of inputs of one desk.

    Only the alerts that the batch is about are loaded, and an input is shown only those that it is
    about itself: deciding it must cost the same however many came with it.
    """

    def __init__(self, book: Book, stream: str, surroundings: Surroundings, at: datetime) -> None:
        self.book = book
        self.stream = stream
        self.surroundings = surroundings
        self.at = at
        self.state = DeskState(stream.removeprefix(DESK))
        self.events: list[tuple[Event, datetime]] = []
        self.effects: list[Effect] = []
        self._alerts: dict[str, AlertRecord] = {}
        self._changed: dict[str, None] = {}

    def restore(self, state: bytes | None) -> None:
        header = codec.decode(state, DeskHeader) if state else DeskHeader()
        self.state = replace(self.state, incident=header.incident)

    async def prepare(self, connection: Connection) -> None:
        """Need nothing but the stream."""

    async def load(self, connection: Connection, inputs: Sequence[Input]) -> None:
        concerned = list(dict.fromkeys(f for received in inputs for f in fingerprints_of(received)))
        self._alerts = await alerts.load(connection, concerned) if concerned else {}

    async def decide(self, connection: Connection, item: Waiting) -> str:
        received: DeskInput = item.input  # type: ignore[assignment] # a desk stream takes no other
        self.state = replace(self.state, alerts=_those(self._alerts, fingerprints_of(received)))
        revision = self.book.current.policy.revision
        decision, state = judge_desk(revision, self.state, received, self.surroundings, self.at)
        if state.incident == _UNNUMBERED:
            # Deciding is pure, so a number is taken only where one is used: people see no gaps.
            fresh = await incidents.next_id(connection)
            surroundings = replace(self.surroundings, fresh_incident_id=fresh)
            decision, state = judge_desk(revision, self.state, received, surroundings, self.at)
        self.state = state
        for event in decision.events:
            self.events.append((event, self.at))
            changed = alert_of(event)
            if changed is not None:
                self._alerts[changed] = state.alerts[changed]
                self._changed[changed] = None
        self.effects.extend(decision.effects)
        return decision.refusal

    async def save(self, connection: Connection, seq: int) -> None:
        if not self.events:
            return
        revision = self.book.current.policy.revision
        await journal.append(connection, self.stream, seq + 1, self.events, revision)
        header = codec.encode(DeskHeader(self.state.incident))
        await streams.save(connection, self.stream, seq + len(self.events), header)
        changed = [self._alerts[fingerprint] for fingerprint in self._changed]
        await alerts.put(connection, self.state.service, changed, self.at)
        await live.announce(connection, "board")


class _IncidentTurn:
    """A batch of inputs of one incident, judged by the revision it was opened under.

    As at a desk, only the alerts that the batch is about are loaded.
    """

    def __init__(self, book: Book, stream: str, surroundings: Surroundings, at: datetime) -> None:
        self.book = book
        self.stream = stream
        self.surroundings = surroundings
        self.at = at
        self.state = new_incident(stream.removeprefix(INCIDENT))
        self.events: list[tuple[Event, datetime]] = []
        self.effects: list[Effect] = []
        self._counted = True
        self._alerts: dict[str, IncidentAlert] = {}
        self._changed: dict[str, None] = {}

    def restore(self, state: bytes | None) -> None:
        if state:
            self.state = codec.decode(state, IncidentState)
            self._counted = codec.decode(state, _Form).alert_counts is not msgspec.UNSET

    async def prepare(self, connection: Connection) -> None:
        """Read the revision that decides here. That it cannot be read is the fault of no input."""
        if self.state.revision:
            await self.book.fetch(connection, self.state.revision)

    async def load(self, connection: Connection, inputs: Sequence[Input]) -> None:
        if not self._counted:
            await self._move_alerts(connection)
            return
        if any(isinstance(received, ReopenedByPerson) for received in inputs):
            await self._look_at_desk(connection)
        concerned = list(dict.fromkeys(f for received in inputs for f in fingerprints_of(received)))
        if concerned:
            self._alerts = await incident_alerts.load(connection, self.state.id, concerned)

    async def _look_at_desk(self, connection: Connection) -> None:
        desk = await streams.load(connection, desk_stream(self.state.service))
        if desk is not None and desk.state is not None:
            header = codec.decode(desk.state, DeskHeader)
            self.surroundings = replace(self.surroundings, open_incident=header.incident or "")

    async def _move_alerts(self, connection: Connection) -> None:
        """Make rows of the alerts that a state in the old form holds, and count them."""
        kept = await incident_alerts.find(connection, self.state.id, limit=_ALERTS_MOVED_MAX)
        self._alerts = {**kept, **self.state.alerts}
        self._changed = dict.fromkeys(self._alerts)
        self.state = replace(self.state, alert_counts=count_alerts(self._alerts.values()))

    async def decide(self, connection: Connection, item: Waiting) -> str:
        received: IncidentInput = item.input  # type: ignore[assignment] # an incident takes no other
        self.state = replace(self.state, alerts=_those(self._alerts, fingerprints_of(received)))
        revision = self.state.revision
        if not revision and isinstance(received, (AlertTold, DeclarationTold)):
            revision = received.revision
        policy = await self.book.fetch(connection, revision)
        decision, self.state = judge(policy, self.state, received, self.surroundings, self.at)
        for event in decision.events:
            self.events.append((event, self.at))
            changed = alert_of(event)
            if changed is not None:
                self._alerts[changed] = self.state.alerts[changed]
                self._changed[changed] = None
        self.effects.extend(decision.effects)
        return decision.refusal

    async def save(self, connection: Connection, seq: int) -> None:
        # A timer that fired is gone from its table. Where the state still waits for it (a clock
        # that jumped back), this puts it there again.
        await timers.replace(connection, self.stream, timers_of(self.state))
        if not self.events:
            return
        policy = await self.book.fetch(connection, self.state.revision)
        level = policy.severity(self.state.severity)
        rank = level.rank if level else len(policy.severities)
        await journal.append(connection, self.stream, seq + 1, self.events, self.state.revision)
        self.state = replace(self.state, alerts={})
        state = codec.encode(self.state)
        await streams.save(connection, self.stream, seq + len(self.events), state)
        alerts_now = {fingerprint: self._alerts[fingerprint] for fingerprint in self._changed}
        await incident_alerts.put(connection, self.state.id, alerts_now)
        await incidents.put(connection, self.state, rank)
        await live.announce(connection, self.stream)


def _first(waiting: list[Waiting]) -> list[Waiting]:
    """Return as many of these inputs as a turn can decide: some are about many alerts each."""
    alerts_about = 0
    for place, item in enumerate(waiting):
        alerts_about += len(fingerprints_of(item.input))
        if alerts_about > BATCH_MAX and place:
            return waiting[:place]
    return waiting


def _those(alerts: Mapping[str, _Alert], fingerprints: Sequence[str]) -> dict[str, _Alert]:
    return {name: alerts[name] for name in fingerprints if name in alerts}


async def _perform(
    connection: Connection, stream: str, effects: Sequence[Effect], sender: str
) -> bool:
    """Write down what is to be done; say whether something is to be delivered."""
    told: list[tuple[str, Input]] = []
    sends: list[SendPage | SendNotice] = []
    for effect in effects:
        match effect:
            case TellDesk(service=service, input=received):
                told.append((desk_stream(service), received))
            case TellIncident(incident=incident, input=received):
                told.append((incident_stream(incident), received))
            case SendPage() | SendNotice():
                sends.append(effect)
    if told:
        await inbox.tell(connection, told, sender)
    if sends:
        await deliveries.add(connection, stream.removeprefix(INCIDENT), sends)
    return bool(sends)


def _woken(effects: Sequence[Effect]) -> tuple[str, ...]:
    streams_woken = [
        desk_stream(e.service) if isinstance(e, TellDesk) else incident_stream(e.incident)
        for e in effects
        if isinstance(e, (TellDesk, TellIncident))
    ]
    return tuple(dict.fromkeys(streams_woken))
