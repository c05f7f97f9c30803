"""What the production core stands in: rows that are committed or not, and processes that die.

A model of the store, the engine and the world outside, in virtual time and without chance: each
``Step`` is one commit, or one thing that people, senders, channels and clocks do. Whatever a process
holds in memory dies with it; whatever is committed stays. Two clocks run here: one that nobody sets
(``elapsed_s``), and the database's, which steps forward and back.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from tocsin.core.desk import REPORT, judge_desk
from tocsin.core.effects import Effect, SendNotice, SendPage, TellDesk, TellIncident
from tocsin.core.events import DeskOpened, Event, IncidentEvent
from tocsin.core.evolve import alert_of, evolve, evolve_desk
from tocsin.core.incident import judge, new_incident
from tocsin.core.inputs import (
    HUMAN_INPUTS,
    LAPSE_GRACE_S,
    Acknowledged,
    AlertLapsed,
    ClockMoved,
    DeliveryReported,
    IncidentDeclared,
    Input,
    NoteWritten,
    PhaseMoved,
    ReopenedByPerson,
    ResolvedByPerson,
    SecurityBreachDeclared,
    SeverityChosen,
    Signal,
    SignalReceived,
    SilencesChanged,
    TimerFired,
    fingerprints_of,
)
from tocsin.core.phases import Phase
from tocsin.core.state import AlertRecord, DeskState, IncidentAlert, IncidentState
from tocsin.core.surroundings import Matcher, Silence, Surroundings
from tocsin.core.timekeeping import Pace, Reading, after_step, behind_s, follow
from tocsin.core.timers import timers_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tocsin.core.decision import Decision
    from tocsin.sim.setting import Condition, Setting
    from tocsin.sim.steps import Step

START = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
DESK, INCIDENT = "desk/", "incident/"
_UNNUMBERED = "INC-?"
_FIRST, _PEOPLE, _SIGNALS = -1, 0, 1

LEASE_S = 10.0
BACKOFF_S = (2.0, 8.0, 30.0)
RESEND_S = 900.0
_LOOK_EVERY_S = 0.5
_SENT_ON_FOR_S = 4 * RESEND_S
_RESOLVED_SENT_FOR_S = 900.0


class Waiting(msgspec.Struct, frozen=True):
    """A row of the inbox."""

    id: int
    priority: int
    input: Input


class Delivery(msgspec.Struct):
    """A row of the deliveries. ``arrived`` counts how often the channel took it."""

    incident: str
    effect: SendPage | SendNotice
    due_at: datetime
    state: str = "pending"
    attempts: int = 0
    leased_until: datetime | None = None
    leased_by: int = 0
    arrived: int = 0


class Alert(msgspec.Struct):
    """A row of the alerts of a desk."""

    record: AlertRecord
    service: str
    received_at: datetime


class Silenced(msgspec.Struct):
    """A row of the silences. ``seen`` is how the desks last saw it."""

    silence: Silence
    seen: str = "pending"


class Accepted(msgspec.Struct):
    """What of a sender was kept, heard or not: the last it said, and the commit of its beginning."""

    firing: bool
    starts_at: datetime
    since: int


class Troubled(msgspec.Struct):
    """A condition out there: since when it holds (by its sender's clock, which is right)."""

    starts_at: datetime
    ended_at: datetime | None = None


class Process(msgspec.Struct):
    """One process. ``id`` is new with each start; all but ``number`` and ``off_s`` dies with it."""

    number: int
    off_s: float
    id: int = 0
    up: bool = False
    memory: dict[str, datetime] = {}
    repeats: dict[str, Signal] = {}
    in_hand: dict[str, int] = {}
    pace: Pace | None = None
    reached_since_s: float = 0.0


class Commit(msgspec.Struct, frozen=True):
    """One turn that was committed. ``judged`` holds each event with the state before it."""

    number: int
    stream: str
    at: datetime
    inputs: tuple[Input, ...]
    judged: tuple[tuple[Event, IncidentState | DeskState], ...]
    effects: tuple[Effect, ...]
    after: IncidentState | DeskState


class Machinery:
    """One world. ``do`` lets one thing happen in it; ``watch`` is told of every commit of a turn."""

    def __init__(
        self, setting: Setting, watch: Callable[[Commit], None] = lambda commit: None
    ) -> None:
        """Begin with empty tables and every process stopped."""
        self.setting = setting
        self.watch = watch
        # The core under trial. A test of the trial puts a broken one here.
        self.judge = judge
        self.elapsed_s = 0.0
        self.off_s = 0.0
        self.commits = 0
        # What the database holds.
        self.inbox: dict[str, list[Waiting]] = {}
        self.desks: dict[str, DeskState] = {}
        self.incidents: dict[str, IncidentState] = {}
        self.alerts: dict[str, Alert] = {}
        self.incident_alerts: dict[str, dict[str, IncidentAlert]] = {}
        self.journal: dict[str, list[tuple[datetime, Event]]] = {}
        self.timers: dict[tuple[str, str], datetime] = {}
        self.deliveries: dict[str, Delivery] = {}
        self.silences: dict[str, Silenced] = {}
        self.latest = START
        self.steps = 0
        # What is outside of it.
        self.processes = [
            Process(number, off_s)
            for number, off_s in enumerate(setting.process_clocks_off_s, start=1)
        ]
        self.trouble: dict[str, Troubled] = {}
        self.accepted: dict[str, Accepted] = {}
        self.refusals: list[str] = []
        self.unsilenced: set[str] = set()
        # By how much due times may be early or late, because nobody could know better.
        self._forward_s = 0.0
        self.unseen_s = 0.0
        self._unseen_step_s = 0.0
        self._stepped_at_s = 0.0
        self._ids = 0
        self._numbers = 0
        self._conditions = {c.fingerprint: c for c in setting.conditions}

    # -- Clocks ------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """Return what the database's clock shows."""
        return START + timedelta(seconds=self.elapsed_s + self.off_s)

    @property
    def true_now(self) -> datetime:
        """Return the right time, which senders have."""
        return START + timedelta(seconds=self.elapsed_s)

    @property
    def forward_s(self) -> float:
        """Return by how much the database's clock went forward so far, all steps together."""
        return self._forward_s + max(0.0, self._unseen_step_s)

    def up(self) -> list[Process]:
        """Return the processes that run."""
        return [process for process in self.processes if process.up]

    def do(self, step: Step) -> None:
        """Let time pass until a step, and let it happen."""
        self._pass_until(step.at)
        verb, *arguments = step.words
        getattr(self, f"do_{verb.replace('-', '_')}")(*arguments)

    def _pass_until(self, at_s: float) -> None:
        if at_s <= self.elapsed_s:
            return
        # Every process looks at the clock twice a second: a step is seen before much else happens.
        looked_s = self._stepped_at_s + _LOOK_EVERY_S
        if self._unseen_step_s and self.up() and at_s > looked_s:
            self.elapsed_s = max(self.elapsed_s, looked_s)
            for process in self.up():
                self.do_look(str(process.number))
        self.elapsed_s = at_s
        if self.up() and not self._unseen_step_s:
            self.latest = max(self.latest, self.now - timedelta(seconds=_LOOK_EVERY_S))
            for process in self.up():
                if process.pace is not None and process.pace.steps == self.steps:
                    process.pace = replace(process.pace, looked_at=self.elapsed_s)

    def do_set_clock(self, by_s: str) -> None:
        """Set the database's clock, forward or back."""
        self.off_s += float(by_s)
        if not self._unseen_step_s:
            self._stepped_at_s = self.elapsed_s
        self._unseen_step_s += float(by_s)

    def do_look(self, number: str) -> None:
        """Let a process compare the clocks, as its timekeeper does."""
        process = self._process(number)
        if not process.up:
            return
        seen = Reading(self.now, self.latest, self.steps)
        by_s = behind_s(process.pace, seen, self.elapsed_s)
        if by_s:
            self._move_clock(by_s)
            process.pace = after_step(seen, self.elapsed_s)
            self.unseen_s += max(0.0, -self._unseen_step_s - by_s)
        else:
            process.pace, forward_s = follow(process.pace, seen, self.elapsed_s)
            self._forward_s += max(0.0, self._unseen_step_s)
            self.unseen_s += max(0.0, -self._unseen_step_s)
            if forward_s:
                process.reached_since_s = self.elapsed_s
        self._unseen_step_s = 0.0
        self.latest = self.now if seen.at < seen.latest else max(self.latest, self.now)

    def _move_clock(self, by_s: float) -> None:
        moved = timedelta(seconds=by_s)
        for id, state in sorted(self.incidents.items()):  # noqa: A001 - the domain's word
            if state.is_open:
                self._append(INCIDENT + id, ClockMoved(by_s), priority=_FIRST)
        lease = self.now + timedelta(seconds=LEASE_S)
        for row in self.deliveries.values():
            if row.state == "pending":
                row.due_at -= moved
                if row.leased_until is not None:
                    row.leased_until = min(row.leased_until, lease)
        self.steps += 1

    # -- Processes ---------------------------------------------------------------------------------

    def do_start(self, number: str) -> None:
        """Start a process that is not running."""
        process = self._process(number)
        if process.up:
            return
        self._ids += 1
        process.id, process.up = self._ids, True
        process.memory, process.repeats, process.in_hand = {}, {}, {}
        process.pace, process.reached_since_s = None, self.elapsed_s
        self.do_look(number)

    def do_crash(self, number: str) -> None:
        """Kill a process: what it held in memory is gone."""
        self._process(number).up = False

    def _process(self, number: str) -> Process:
        return self.processes[int(number) - 1]

    # -- What senders do ---------------------------------------------------------------------------

    def do_begin(self, fingerprint: str) -> None:
        """Let something go wrong, of which its sender will tell."""
        self.trouble[fingerprint] = Troubled(self.true_now)

    def do_cease(self, fingerprint: str) -> None:
        """Let it be right again."""
        troubled = self.trouble.get(fingerprint)
        if troubled is not None and troubled.ended_at is None:
            troubled.ended_at = self.true_now

    def do_send(self, fingerprint: str, number: str, outcome: str = "taken") -> None:
        """Let a sender tell a process how it stands.

        ``outcome`` is "taken", "dies" (before it is committed) or "unheard" (committed, and the
        process dies before it could answer, so the sender believes it was not).
        """
        process, troubled = self._process(number), self.trouble.get(fingerprint)
        if not process.up or troubled is None:
            return
        if outcome == "dies":
            process.up = False
            return
        ends_at = troubled.ended_at or self.true_now + timedelta(seconds=_SENT_ON_FOR_S)
        signal = self._conditions[fingerprint].signal(troubled.starts_at, ends_at)
        self._receive(process, signal)
        if outcome == "unheard":
            process.up = False
        known = self.accepted.get(fingerprint)
        firing = troubled.ended_at is None
        begun = known is None or not known.firing or known.starts_at < troubled.starts_at
        since = self.commits if begun or known is None else known.since
        self.accepted[fingerprint] = Accepted(firing, troubled.starts_at, since)

    def is_told(self, fingerprint: str) -> bool:
        """Say whether the sender still has something to say about this condition."""
        troubled, accepted = self.trouble.get(fingerprint), self.accepted.get(fingerprint)
        if troubled is None:
            return False
        if self._conditions[fingerprint].by_person:
            return accepted is None or accepted.starts_at < troubled.starts_at
        if troubled.ended_at is None:
            return True
        return (self.true_now - troubled.ended_at).total_seconds() <= _RESOLVED_SENT_FOR_S

    def _receive(self, process: Process, signal: Signal) -> None:
        # Whichever clock makes it fire: a page too many harms less than one too few.
        at = min(self.true_now + timedelta(seconds=process.off_s), self.now)
        known = process.memory.get(signal.fingerprint)
        firing = signal.is_firing(at) and signal.source != REPORT
        if firing and known is not None and signal.starts_at <= known:
            process.repeats[signal.fingerprint] = signal
            return
        self._append(f"{DESK}{signal.labels['service']}", SignalReceived(signal, at))
        process.repeats.pop(signal.fingerprint, None)
        if firing:
            process.memory[signal.fingerprint] = signal.starts_at
        else:
            process.memory.pop(signal.fingerprint, None)

    def do_write(self, number: str) -> None:
        """Write the repeats through; those of alerts that do not fire any more are news."""
        process = self._process(number)
        if not process.up:
            return
        for fingerprint, signal in process.repeats.items():
            row = self.alerts.get(fingerprint)
            if row is not None and row.record.firing and not row.record.stale:
                row.record = replace(
                    row.record, signal=replace(row.record.signal, ends_at=signal.ends_at)
                )
                row.received_at = self.now
            else:
                process.memory.pop(fingerprint, None)
                at = min(self.true_now + timedelta(seconds=process.off_s), self.now)
                self._append(f"{DESK}{signal.labels['service']}", SignalReceived(signal, at))
        process.repeats = {}

    # -- What people do ----------------------------------------------------------------------------

    def do_declare(self, number: str, service: str, severity: str, breach: str = "") -> None:
        """Let a person declare an incident; it is kept, and decided by a turn."""
        declared = IncidentDeclared(f"{service} is broken", "sam", severity or None, bool(breach))
        self._ask(number, DESK + service, declared)

    def do_act(self, number: str, incident: str, verb: str, *words: str) -> None:
        """Let a person act on an incident."""
        made: dict[str, Callable[..., Input]] = {
            "acknowledge": lambda person="": Acknowledged("sam", "the room", person or None),
            "phase": lambda phase: PhaseMoved("sam", Phase(phase)),
            "grade": lambda level: SeverityChosen("sam", level, "as I see it"),
            "breach": lambda: SecurityBreachDeclared("sam"),
            "note": lambda text: NoteWritten("sam", text),
            "resolve": lambda: ResolvedByPerson("sam", "it is over"),
            "reopen": lambda: ReopenedByPerson("sam", "it is not over"),
        }
        if incident in self.incidents:
            self._ask(number, INCIDENT + incident, made[verb](*words))

    def _ask(self, number: str, stream: str, asked: Input) -> None:
        if self._process(number).up:
            self._append(stream, asked)

    def do_silence(self, number: str, id: str, service: str, lasts_s: str) -> None:  # noqa: A002
        """Let a person mute a service for a while."""
        if self._process(number).up:
            ends_at = self.now + timedelta(seconds=float(lasts_s))
            matchers = (Matcher("service", service),)
            silence = Silence(id, matchers, self.now, ends_at, "sam")
            self.silences[id] = Silenced(silence, "changed")

    def do_unsilence(self, number: str, id: str) -> None:  # noqa: A002 - the domain's word
        """Let a person end a silence."""
        row = self.silences.get(id)
        if not self._process(number).up or row is None or row.silence.ends_at <= self.now:
            return
        self.unsilenced.add(id)
        starts_at = min(row.silence.starts_at, self.now)
        row.silence = replace(row.silence, starts_at=starts_at, ends_at=self.now)
        row.seen = "changed"

    def do_hand_over(self, role: str, person: str) -> None:
        """Let somebody else hold a role from now on, in every process."""
        self.setting = self.setting.with_holder(role, person)

    # -- What processes do -------------------------------------------------------------------------

    def do_turn(self, number: str, stream: str, limit: str, death: str = "") -> None:
        """Let a process run one turn. ``death`` is "", "before" or "after" the commit."""
        process = self._process(number)
        waiting = self.inbox.get(stream, [])
        if not process.up or not waiting or self.now < self.latest:
            return
        taken = waiting[: int(limit)]
        turn = (self._desk_turn if stream.startswith(DESK) else self._incident_turn)(stream, taken)
        if death == "before":
            process.up = False
            return
        self.commits += 1
        del waiting[: len(taken)]
        commit = turn()
        self._perform(stream, commit.effects)
        self.watch(commit)
        if death == "after":
            process.up = False

    def _desk_turn(self, stream: str, taken: Sequence[Waiting]) -> Callable[[], Commit]:
        service = stream.removeprefix(DESK)
        state = self.desks.get(service, DeskState(service))
        alerts: dict[str, AlertRecord] = {}
        judged: list[tuple[Event, IncidentState | DeskState]] = []
        effects: list[Effect] = []
        surroundings = self._surroundings(self._silences_in_force())
        for item in taken:
            concerned = fingerprints_of(item.input)
            known = {f: alerts.get(f) or self._record(f) for f in concerned}
            state = replace(state, alerts={f: r for f, r in known.items() if r is not None})
            decision = self._decide_desk(state, item.input, surroundings, _UNNUMBERED)
            if DeskOpened(_UNNUMBERED) in decision.events:
                # A number that is not committed leaves a hole, and never a twin.
                self._numbers += 1
                fresh = f"INC-{self._numbers}"
                decision = self._decide_desk(state, item.input, surroundings, fresh)
            for event in decision.events:
                judged.append((event, state))
                state = evolve_desk(state, event)  # type: ignore[arg-type] # a desk emits only its own
                changed = alert_of(event)
                if changed is not None:
                    alerts[changed] = state.alerts[changed]
            effects += decision.effects
            if decision.refusal:
                self.refusals.append(decision.refusal)

        def commit() -> Commit:
            self.desks[service] = replace(state, alerts={})
            for fingerprint, record in alerts.items():
                self.alerts[fingerprint] = Alert(record, service, self.now)
            return self._commit(stream, taken, judged, effects, self.desks[service])

        return commit

    def _decide_desk(
        self, state: DeskState, received: Input, surroundings: Surroundings, fresh: str
    ) -> Decision:
        told = replace(surroundings, fresh_incident_id=fresh)
        revision = self.setting.policy.revision
        return judge_desk(revision, state, received, told, self.now)[0]  # type: ignore[arg-type] # see above

    def _incident_turn(self, stream: str, taken: Sequence[Waiting]) -> Callable[[], Commit]:
        name = stream.removeprefix(INCIDENT)
        state = self.incidents.get(name) or new_incident(name)
        kept = self.incident_alerts.get(name, {})
        alerts: dict[str, IncidentAlert] = {}
        judged: list[tuple[Event, IncidentState | DeskState]] = []
        effects: list[Effect] = []
        desk = self.desks.get(state.service)
        open_incident = (desk.incident if desk else None) or ""
        surroundings = replace(self._surroundings(()), open_incident=open_incident)
        for item in taken:
            concerned = fingerprints_of(item.input)
            known = {f: alerts.get(f) or kept.get(f) for f in concerned}
            state = replace(state, alerts={f: a for f, a in known.items() if a is not None})
            policy = self.setting.policy
            decision, judged_state = self.judge(policy, state, item.input, surroundings, self.now)  # type: ignore[arg-type] # an incident takes its own
            for event in decision.events:
                judged.append((event, state))
                state = evolve(state, event, self.now)  # type: ignore[arg-type] # and emits its own
                changed = alert_of(event)
                if changed is not None:
                    alerts[changed] = state.alerts[changed]
            assert state == judged_state, "a decision knows the state that its events lead to"
            effects += decision.effects
            if decision.refusal:
                self.refusals.append(decision.refusal)

        def commit() -> Commit:
            self.incidents[name] = replace(state, alerts={})
            self.incident_alerts.setdefault(name, {}).update(alerts)
            wanted = timers_of(state)
            for key in [k for k in self.timers if k[0] == stream and k[1] not in wanted]:
                del self.timers[key]
            self.timers.update({(stream, timer): due for timer, due in wanted.items()})
            return self._commit(stream, taken, judged, effects, self.incidents[name])

        return commit

    def _commit(
        self,
        stream: str,
        taken: Sequence[Waiting],
        judged: Sequence[tuple[Event, IncidentState | DeskState]],
        effects: Sequence[Effect],
        after: IncidentState | DeskState,
    ) -> Commit:
        self.journal.setdefault(stream, []).extend((self.now, event) for event, _ in judged)
        return Commit(
            self.commits,
            stream,
            self.now,
            tuple(item.input for item in taken),
            tuple(judged),
            tuple(effects),
            after,
        )

    def _surroundings(self, silences: tuple[Silence, ...]) -> Surroundings:
        return Surroundings(self.setting.directory, self.setting.tuning, silences)

    def _record(self, fingerprint: str) -> AlertRecord | None:
        row = self.alerts.get(fingerprint)
        return None if row is None else row.record

    def _silences_in_force(self) -> tuple[Silence, ...]:
        return tuple(
            row.silence
            for _, row in sorted(self.silences.items())
            if row.silence.starts_at <= self.now < row.silence.ends_at and row.seen != "expired"
        )

    def _perform(self, stream: str, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case TellDesk(service=service, input=told):
                    self._append(DESK + service, told)
                case TellIncident(incident=incident, input=received):
                    self._append(INCIDENT + incident, received)
                case SendPage() | SendNotice():
                    asked = Delivery(stream.removeprefix(INCIDENT), effect, self.now)
                    self.deliveries.setdefault(effect.delivery, asked)

    def _append(self, stream: str, given: Input, priority: int | None = None) -> None:
        if priority is None:
            priority = _PEOPLE if isinstance(given, HUMAN_INPUTS) else _SIGNALS
        self._ids += 1
        waiting = self.inbox.setdefault(stream, [])
        waiting.append(Waiting(self._ids, priority, given))
        waiting.sort(key=lambda item: (item.priority, item.id))

    def waiting(self) -> list[str]:
        """Return the streams with inputs not judged yet."""
        return [stream for stream, waiting in self.inbox.items() if waiting]

    # -- Timers and sweeps -------------------------------------------------------------------------

    def due_timers(self) -> list[tuple[str, str]]:
        """Return the timers whose time has come by the database's clock."""
        return [key for key, due_at in self.timers.items() if due_at <= self.now]

    def do_fire(self, number: str, stream: str, name: str, death: str = "") -> None:
        """Let a job look at a timer: due, it becomes an input. ``death`` as for a turn."""
        process = self._process(number)
        if not process.up:
            return
        due_at = self.timers.get((stream, name))
        if death != "before" and due_at is not None and due_at <= self.now:
            del self.timers[stream, name]
            self._append(stream, TimerFired(name, due_at))
        if death:
            process.up = False

    def do_sweep(self, number: str) -> None:
        """Let a process look for all that no job found: timers, alerts not re-sent, silences."""
        process = self._process(number)
        if not process.up:
            return
        for stream, name in self.due_timers():
            self.do_fire(number, stream, name)
        self._turn_silences()
        if self.elapsed_s - process.reached_since_s > LAPSE_GRACE_S:
            self._lapse(process)

    def _lapse(self, process: Process) -> None:
        long_ago = self.now - timedelta(seconds=LAPSE_GRACE_S)
        for fingerprint, row in sorted(self.alerts.items()):
            ends_at = row.record.signal.ends_at
            due = ends_at is not None and ends_at < long_ago and row.received_at < long_ago
            if row.record.firing and not row.record.stale and ends_at and due:
                self._append(DESK + row.service, AlertLapsed(fingerprint, ends_at))
                process.memory.pop(fingerprint, None)

    def _turn_silences(self) -> None:
        turned = {}
        for id, row in self.silences.items():  # noqa: A001 - the domain's word
            phase = self._phase(row.silence)
            if row.seen not in ("expired", phase):
                row.seen = phase
                turned[id] = row.silence
        concerned: dict[str, list[str]] = {}
        for fingerprint, alert in sorted(self.alerts.items()):
            record = alert.record
            matched = any(silence.concerns(record.signal.labels) for silence in turned.values())
            if record.firing and (matched or record.muted_by in turned):
                concerned.setdefault(alert.service, []).append(fingerprint)
        for service, fingerprints in concerned.items():
            self._append(DESK + service, SilencesChanged(tuple(fingerprints)))

    def _phase(self, silence: Silence) -> str:
        if silence.ends_at <= self.now:
            return "expired"
        return "active" if silence.starts_at <= self.now else "pending"

    # -- Deliveries --------------------------------------------------------------------------------

    def free_deliveries(self) -> list[str]:
        """Return the deliveries that are due while nobody alive is at them."""
        alive = {process.id for process in self.up()}
        return [
            id
            for id, row in self.deliveries.items()  # noqa: A001 - the domain's word
            if row.state == "pending"
            and row.due_at <= self.now
            and (
                row.leased_until is None
                or row.leased_until <= self.now
                or row.leased_by not in alive
            )
        ]

    def in_hand(self) -> list[tuple[int, str]]:
        """Return the processes that are at a delivery, each with its id."""
        return [(process.number, key) for process in self.up() for key in process.in_hand]

    def do_lease(self, number: str, id: str) -> None:  # noqa: A002 - the domain's word
        """Let a courier take a delivery that is free."""
        process = self._process(number)
        if process.up and id in self.free_deliveries():
            row = self.deliveries[id]
            row.leased_until = self.now + timedelta(seconds=LEASE_S)
            row.leased_by = process.id
            row.attempts += 1
            process.in_hand[id] = row.attempts

    def do_post(self, number: str, id: str) -> None:  # noqa: A002 - the domain's word
        """Let a channel take what a courier has in hand; nobody has noted that yet."""
        process = self._process(number)
        if process.up and id in process.in_hand:
            self.deliveries[id].arrived += 1

    def do_settle(self, number: str, id: str, outcome: str) -> None:  # noqa: A002 - the domain's word
        """Let a courier note what came of it: "taken", "refused" or "again"."""
        process = self._process(number)
        if not process.up:
            return
        attempt, row = process.in_hand.pop(id, None), self.deliveries.get(id)
        if row is None or row.state != "pending" or attempt != row.attempts:
            return
        row.leased_until = None
        if outcome == "again" and attempt <= len(BACKOFF_S):
            row.due_at = self.now + timedelta(seconds=BACKOFF_S[attempt - 1])
            return
        taken = outcome == "taken"
        row.state = "delivered" if taken else "failed"
        if row.effect.contact is not None:
            detail = "" if taken else "the channel refused it"
            report = DeliveryReported(id, taken, detail)
            self._append(INCIDENT + row.incident, report)

    def conditions(self) -> list[Condition]:
        """Return what can go wrong here."""
        return list(self._conditions.values())

    def is_report(self, fingerprint: str) -> bool:
        """Say whether a person tells of it, who says so once."""
        return self._conditions[fingerprint].by_person


def incident_events(
    journal: Iterable[tuple[datetime, Event]],
) -> list[tuple[datetime, IncidentEvent]]:
    """Return a journal of an incident as what it holds: events of incidents only."""
    return [(at, event) for at, event in journal]  # type: ignore[misc] # its stream takes no other
