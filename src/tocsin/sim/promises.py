"""What must hold in every world, whatever happens in it. Judged from the outside, not by the core.

``Promises.watch`` judges each commit as it happens, ``check_at_rest`` a world in which everything
that was asked for has been done. Either raises ``BrokenPromiseError``, which says what was promised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from tocsin.core import events as ev
from tocsin.core.effects import SendPage
from tocsin.core.escalation import plan_rungs
from tocsin.core.events import Because, GradedBecause, Hold
from tocsin.core.evolve import fold
from tocsin.core.inputs import AlertTold
from tocsin.core.narrate import tell
from tocsin.core.phases import Phase
from tocsin.core.policy import Clock, Urgency
from tocsin.core.severity import grade_signal
from tocsin.core.state import DeskState, IncidentState, count_alerts
from tocsin.core.timekeeping import STEP_S_MIN
from tocsin.core.timers import pending_rungs, rung_due, timers_of
from tocsin.sim.machinery import DESK, INCIDENT, incident_events

if TYPE_CHECKING:
    from tocsin.core.state import IncidentAlert, Page
    from tocsin.sim.machinery import Accepted, Commit, Machinery

# What says nothing to a person, because what follows it says it with names.
_SILENT = (ev.RungsPlanned, ev.Escalated, ev.PhaseChanged, ev.NoticeDelivered, ev.MonitoringBegan)
_CITED = (ev.Escalated, ev.PageAsked, ev.NoticeAsked, ev.NoticeLeftToPerson, ev.RoleUnheld)
_SLACK_S = STEP_S_MIN + 0.5


class BrokenPromiseError(Exception):
    """A promise does not hold; the message says which, and where."""


class Promises:
    """Everything promised about one world."""

    def __init__(self, world: Machinery) -> None:
        """Watch a world from its beginning."""
        self.world = world
        world.watch = self.watch
        self._keys: dict[str, object] = {}
        self._reached: dict[str, set[tuple[str, int, Urgency]]] = {}
        self._ever_reached: dict[str, set[tuple[str, int, Urgency]]] = {}
        # When the clocks of an incident started by the clock that nobody sets, and how far the
        # database's had gone forward by then.
        self._started: dict[str, tuple[float, float, float]] = {}
        self._resolved: dict[str, tuple[int, Because]] = {}
        self._returned: set[str] = set()

    # -- Every commit ------------------------------------------------------------------------------

    def watch(self, commit: Commit) -> None:
        """Judge one commit."""
        self._check_effects(commit)
        if not isinstance(commit.after, IncidentState):
            return
        incident = commit.stream.removeprefix(INCIDENT)
        for place, (event, before) in enumerate(commit.judged):
            assert isinstance(before, IncidentState)
            self._check_words(event)
            self._check_event(incident, event, before, commit)
            if isinstance(event, ev.Escalated):
                following = [judged for judged, _ in commit.judged[place + 1 :]]
                self._check_everybody_is_asked(event, following)
            self._note(incident, event, commit)
        self._check_state(incident, commit.after)
        if commit.judged and commit.after.is_open and not commit.after.holds:
            self._check_nothing_waits(incident, commit.after)
        self._check_grade(commit)

    def _check_effects(self, commit: Commit) -> None:
        asked = {
            e.delivery for e, _ in commit.judged if isinstance(e, ev.PageAsked | ev.NoticeAsked)
        }
        sent = [e for e in commit.effects if hasattr(e, "delivery")]
        self._require(
            sorted(asked) == sorted(e.delivery for e in sent),
            "what the timeline says was sent is what is sent",
            f"{commit.stream}: {sorted(asked)} and {[e.delivery for e in sent]}",
        )
        for effect in sent:
            self._require(
                effect.delivery not in self._keys,
                "no two messages have the same idempotency key",
                effect.delivery,
            )
            self._keys[effect.delivery] = effect

    def _check_words(self, event: ev.Event) -> None:
        line = tell(event)
        self._require(
            isinstance(event, _SILENT) or (line is not None and bool(line.text)),
            "every event is a sentence on the timeline",
            repr(event),
        )
        if isinstance(event, _CITED):
            source = event.rung.source if isinstance(event, ev.Escalated) else event.source
            self._require(source.line > 0, "whoever is reached is reached by a line", repr(event))
        if isinstance(event, ev.SeverityGraded):
            by_person = event.because is GradedBecause.PERSON and event.by
            cited = event.source is not None or event.because is GradedBecause.DEFAULT
            self._require(bool(by_person or cited), "every grade has its reason", repr(event))

    def _check_event(
        self, incident: str, event: ev.Event, before: IncidentState, commit: Commit
    ) -> None:
        match event:
            case ev.Escalated(rung=rung, because=because):
                self._check_rung(incident, rung, because, before, commit)
            case ev.PageAsked():
                self._check_page(incident, event, before, commit)
            case ev.IncidentResolved(because=Because.STABLE):
                until = before.monitoring_until
                quiet = before.alert_counts.firing == 0
                self._require(
                    until is not None and until <= commit.at and quiet,
                    "only a watch that passed in quiet resolves by itself",
                    f"{incident} at {commit.at}, watch until {until}",
                )
            case ev.IncidentResolved(by=by):
                self._require(bool(by), "whoever resolves has a name", incident)

    def _check_rung(
        self,
        incident: str,
        rung: ev.Rung,
        because: Because,
        before: IncidentState,
        commit: Commit,
    ) -> None:
        self._require(
            before.is_open and not before.holds,
            "nothing escalates while it is held, or over",
            f"{incident} {rung.name}",
        )
        if rung.clock is Clock.UNACKNOWLEDGED:
            self._require(
                before.acknowledged_at is None,
                "what waits for an acknowledgement stops when it comes",
                f"{incident} {rung.name}",
            )
        if because is Because.UNDELIVERABLE:
            unreachable = any(page.unreachable for page in before.pages.values())
            self._require(unreachable, "only the unreachable are passed over", f"{incident}")
            return
        self._require(
            rung_due(before, rung) <= commit.at, "no rung fires before it is due", rung.name
        )
        early_s = rung.after_s - self._passed_s(incident)
        forward_s = self.world.forward_s - self._started[incident][1]
        self._require(
            early_s <= forward_s + _SLACK_S,
            "no rung fires early, unless the clock went forward",
            f"{incident} {rung.name}: {early_s:g} s early, the clock went {forward_s:g} s forward",
        )

    def _check_page(
        self, incident: str, event: ev.PageAsked, before: IncidentState, commit: Commit
    ) -> None:
        self._require(before.is_open, "nobody is paged for what is over", f"{incident}")
        self._require(
            event.delivery == f"{incident}/d{before.deliveries + 1}",
            "idempotency keys count up",
            event.delivery,
        )
        page = before.pages.get(event.page)
        if event.because is Because.REPEAT:
            repeats = page is not None and not page.stopped and page.acknowledged_at is None
            self._require(
                repeats and not before.holds,
                "nobody is paged again who acknowledged, or was let go of, or while it is held",
                f"{incident} {event.page}",
            )
            assert page is not None
            due_at = page.repeat_at
            self._require(
                due_at is not None and due_at <= commit.at, "no page is repeated early", event.page
            )

    def _check_everybody_is_asked(self, escalated: ev.Escalated, following: list[ev.Event]) -> None:
        asked = set()
        for event in following:
            if isinstance(event, ev.Escalated):
                break
            if isinstance(event, ev.PageAsked):
                asked.add(event.person)
        directory = self.world.setting.directory
        wanted = {p.id for role in escalated.rung.roles for p in directory.reachable_as(role)}
        self._require(
            wanted <= asked,
            "whoever a rung names is asked",
            f"{escalated.rung.name}: {sorted(wanted - asked)} were not",
        )

    def _note(self, incident: str, event: ev.Event, commit: Commit) -> None:
        """Remember what the next promises are about, from the events alone."""
        world = self.world
        match event:
            case ev.IncidentOpened() | ev.IncidentReopened():
                self._reached[incident] = set()
                self._ever_reached[incident] = set()
                self._started[incident] = (world.elapsed_s, world.forward_s, world.unseen_s)
                if isinstance(event, ev.IncidentReopened):
                    self._returned.add(incident)
            case ev.Escalated(rung=rung):
                now = {(role, rung.after_s, rung.urgency) for role in rung.roles}
                self._reached[incident] |= now
                self._ever_reached[incident] |= now
            case ev.PageStopped(role=role):
                self._reached[incident] = {r for r in self._reached[incident] if r[0] != role}
            case ev.IncidentResolved(because=because):
                self._resolved[incident] = (commit.number, because)

    # -- A state after a commit --------------------------------------------------------------------

    def _check_state(self, incident: str, state: IncidentState) -> None:
        stream = INCIDENT + incident
        rows = {name: due for (owner, name), due in self.world.timers.items() if owner == stream}
        self._require(
            rows == timers_of(state), "the timers are those of the state", f"{incident}: {rows}"
        )
        alerts = self._alerts(incident)
        self._require(
            state.alert_counts == count_alerts(alerts.values()),
            "the alerts are counted right",
            f"{incident}: {state.alert_counts}",
        )
        self._check_holds(incident, state, alerts)
        if state.is_open and not state.holds:
            self._check_ladder(incident, state)
            self._check_repeats(incident, state)

    def _check_holds(
        self, incident: str, state: IncidentState, alerts: dict[str, IncidentAlert]
    ) -> None:
        wanted = set()
        if state.is_open:
            firing = [alert for alert in alerts.values() if alert.firing]
            by_people = state.declared or state.reports > 0
            if firing and all(alert.muted_by for alert in firing) and not by_people:
                wanted.add(Hold.SILENCED)
            if state.phase is Phase.MONITORING:
                wanted.add(Hold.MONITORING)
        self._require(
            set(state.holds) == wanted,
            "escalation waits for what the timeline says, and for nothing else",
            f"{incident} {state.phase}: {state.holds}",
        )

    def _check_nothing_waits(self, incident: str, state: IncidentState) -> None:
        now = self.world.now
        overdue = [rung.name for rung in pending_rungs(state) if rung_due(state, rung) <= now]
        self._require(not overdue, "no rung that is due waits", f"{incident}: {overdue}")
        for page in state.pages.values():
            holders = self.world.setting.directory.holders(page.role)
            former = holders and all(holder.id != page.person for holder in holders)
            self._require(
                not (former and page.urgency is Urgency.PAGE and _is_waited_for(page)),
                "whoever is asked holds the role, where anybody does",
                f"{incident}: {page.person} as {page.role}",
            )

    def _check_ladder(self, incident: str, state: IncidentState) -> None:
        reached = self._reached[incident]
        # Whoever was paged and let go of knows of it, and is not told once more.
        told = self._ever_reached[incident]
        waiting = {
            (r, rung.after_s, rung.urgency) for rung in pending_rungs(state) for r in rung.roles
        }
        ladder = plan_rungs(
            self.world.setting.policy, state.severity, security_breach=state.security_breach
        )
        for rung in ladder:
            if rung.clock is Clock.UNACKNOWLEDGED and state.acknowledged_at is not None:
                continue
            for role in rung.roles:
                ways = {(role, rung.after_s, Urgency.PAGE), (role, rung.after_s, rung.urgency)}
                known = told if rung.urgency is Urgency.NOTICE else reached
                self._require(
                    bool(ways & (known | waiting)),
                    "everybody whom the ladder names was reached, or has a timer",
                    f"{incident}: {role} after {rung.after_s} s, as {rung.source} says",
                )

    def _check_repeats(self, incident: str, state: IncidentState) -> None:
        if not self.world.setting.tuning.repeat_every_s:
            return
        forgotten = [
            page.person
            for page in state.pages.values()
            if page.urgency is Urgency.PAGE and _is_waited_for(page) and page.repeat_at is None
        ]
        self._require(
            not forgotten, "who does not acknowledge is asked again", f"{incident}: {forgotten}"
        )

    def _check_grade(self, commit: Commit) -> None:
        state = commit.after
        assert isinstance(state, IncidentState)
        if not state.is_open or state.grade is None or state.grade.because is GradedBecause.PERSON:
            return
        policy, tuning = self.world.setting.policy, self.world.setting.tuning
        for told in commit.inputs:
            if isinstance(told, AlertTold) and told.firing and not told.stale and not told.muted_by:
                deserved = grade_signal(policy, tuning, told.signal).level
                self._require(
                    _rank(self.world, state.severity) <= _rank(self.world, deserved),
                    "no signal that deserves a worse severity is swallowed",
                    f"{state.id} is {state.severity}, {told.signal.title} deserves {deserved}",
                )

    # -- A world at rest ---------------------------------------------------------------------------

    def check_at_rest(self) -> None:
        """Judge a world where no input waits, no timer is due and every delivery was tried."""
        world = self.world
        self._require(not world.waiting(), "every input is decided", f"{world.waiting()}")
        self._require(not world.due_timers(), "every due timer fires", f"{world.due_timers()}")
        for fingerprint, accepted in world.accepted.items():
            self._check_accepted(fingerprint, accepted)
        for incident, state in world.incidents.items():
            self._check_incident_at_rest(incident, state)
        for service, desk in world.desks.items():
            self._check_desk_at_rest(service, desk)

    def _check_accepted(self, fingerprint: str, accepted: Accepted) -> None:
        promise = "an accepted alert is on an open incident, silenced, or its incident was ended"
        if not accepted.firing:
            return
        row = self.world.alerts.get(fingerprint)
        if self.world.is_report(fingerprint):
            leads = row is not None and row.record.incident in self.world.incidents
            self._require(leads, "a report leads to an incident", fingerprint)
            return
        self._require(row is not None and row.record.firing, promise, f"{fingerprint} fires")
        assert row is not None
        record = row.record
        if self.world.is_told(fingerprint):
            self._require(not record.stale, "what is sent again is not stale", fingerprint)
        if record.muted_by is not None:
            silenced = self.world.silences[record.muted_by]
            in_force = silenced.silence.starts_at <= self.world.now < silenced.silence.ends_at
            self._require(
                in_force and record.muted_by not in self.world.unsilenced,
                "only a silence in force silences",
                f"{fingerprint} by {record.muted_by}",
            )
        if record.incident is None:
            self._require(record.muted_by is not None, promise, f"{fingerprint} is nowhere")
            return
        state = self.world.incidents.get(record.incident)
        self._require(state is not None, promise, f"{fingerprint}: {record.incident} never began")
        assert state is not None
        if state.is_open:
            told = self._alerts(record.incident).get(fingerprint)
            self._require(
                told is not None and told.firing, promise, f"{fingerprint} in {record.incident}"
            )
            return
        if record.muted_by is not None:
            return
        ended, because = self._resolved[record.incident]
        self._require(
            because is Because.PERSON and ended > accepted.since,
            promise,
            f"{fingerprint} began after {record.incident} was over ({because})",
        )

    def _check_incident_at_rest(self, incident: str, state: IncidentState) -> None:
        journal = incident_events(self.world.journal.get(INCIDENT + incident, []))
        folded = fold(journal, IncidentState(id=incident))
        self._require(
            replace(folded, alerts={}) == replace(state, alerts={})
            and folded.alerts == self._alerts(incident),
            "the journal adds up to the state",
            incident,
        )
        for id, asked in state.asked.items():  # noqa: A001 - the domain's word
            row = self.world.deliveries.get(id)
            self._require(
                row is not None and row.state == "pending",
                "every outcome is reported",
                f"{id} to {asked.contact}",
            )
        if not state.is_open or state.holds:
            return
        unseen_s = self.world.unseen_s - self._started[incident][2]
        for rung in pending_rungs(state):
            late_s = self._passed_s(incident) - rung.after_s
            self._require(
                late_s <= unseen_s + _SLACK_S,
                "no rung is late because a clock went back",
                f"{incident} {rung.name}: {late_s:g} s late",
            )

    def _check_desk_at_rest(self, service: str, desk: DeskState) -> None:
        incident = desk.incident
        if incident is not None:
            state = self.world.incidents.get(incident)
            self._require(
                state is not None and state.is_open,
                "a desk gives alerts to an incident that is open",
                f"{DESK}{service} to {incident}",
            )
        others = [
            name
            for name, state in self.world.incidents.items()
            if state.service == service and state.is_open and name != incident
        ]
        self._require(
            set(others) <= self._returned,
            "a service has one open incident, unless an old one came back",
            f"{service}: {incident} and {others}",
        )

    # -- Parts -------------------------------------------------------------------------------------

    def check_deliveries(self) -> None:
        """Judge a world that had the time to send everything: each message arrived, or failed."""
        for id, row in self.world.deliveries.items():  # noqa: A001 - the domain's word
            effect = row.effect
            in_app = isinstance(effect, SendPage) and effect.contact is None
            self._require(
                row.state == "failed" or in_app or row.arrived > 0 or row.state == "pending",
                "what is called delivered arrived",
                id,
            )
            self._require(
                row.state != "pending" or row.due_at > self.world.now,
                "every message that is due is tried",
                id,
            )

    def _passed_s(self, incident: str) -> float:
        return self.world.elapsed_s - self._started[incident][0]

    def _alerts(self, incident: str) -> dict[str, IncidentAlert]:
        return self.world.incident_alerts.get(incident, {})

    def _require(self, holds: bool, promise: str, where: str) -> None:
        if not holds:
            raise BrokenPromiseError(f"{promise}: {where}")


def _is_waited_for(page: Page) -> bool:
    return page.acknowledged_at is None and not page.stopped


def _rank(world: Machinery, level: str) -> int:
    policy = world.setting.policy
    declared = policy.severity(level)
    return declared.rank if declared else len(policy.severities)
