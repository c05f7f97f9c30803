"""The incident: graded, escalated, acknowledged, watched, resolved. Every event has its reason.

One input at a time. The handler of an input says what it changes; ``_Turn.settle`` then draws the
consequences that follow from the state alone: holds, the ladder, and the rungs that are due.
"""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tocsin.core import events as ev
from tocsin.core import inputs as inp
from tocsin.core.decision import NOTHING, Decision
from tocsin.core.desk import REPORT
from tocsin.core.effects import Effect, SendNotice, SendPage, TellDesk
from tocsin.core.escalation import plan_rungs
from tocsin.core.events import Because, GradedBecause, Hold
from tocsin.core.evolve import evolve
from tocsin.core.explained import ThisPolicy
from tocsin.core.messages import customer_message, notice_message, page_message
from tocsin.core.phases import Phase
from tocsin.core.policy import Clock, Urgency
from tocsin.core.severity import (
    PlayMatch,
    choose_play,
    default_level,
    grade_breach,
    grade_signal,
    grade_text,
    is_security_breach,
    match_play,
)
from tocsin.core.similarity import concepts
from tocsin.core.state import Grade, IncidentState
from tocsin.core.timers import pending_rungs, rung_due, timers_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tocsin.base.source import Source
    from tocsin.core.events import IncidentEvent, Rung
    from tocsin.core.policy import Communication, Policy
    from tocsin.core.state import Asked, Page
    from tocsin.core.surroundings import Contact, Person, Surroundings

_TITLE_MAX = 160
_REASON_BY_CLOCK = {
    Clock.IMMEDIATE: Because.SEVERITY,
    Clock.UNRESOLVED: Because.NOT_RESOLVED,
    Clock.UNACKNOWLEDGED: Because.NOT_ACKNOWLEDGED,
    Clock.EVENT: Because.CONDITION,
}


def decide(
    policy: Policy,
    state: IncidentState,
    received: inp.IncidentInput,
    surroundings: Surroundings,
    at: datetime,
) -> Decision:
    """Return what one input means for an incident at that instant (aware, UTC).

    ``policy`` is the revision the incident was opened under; for the input that opens it, the one
    in force. A stale timer decides nothing.
    """
    return judge(policy, state, received, surroundings, at)[0]


def judge(
    policy: Policy,
    state: IncidentState,
    received: inp.IncidentInput,
    surroundings: Surroundings,
    at: datetime,
) -> tuple[Decision, IncidentState]:
    """Return what ``decide`` does, and the state that its events lead to: they are folded once."""
    turn = _Turn(policy, state, surroundings, at)
    turn.handle(received)
    if turn.refusal:
        return Decision(refusal=turn.refusal), state
    turn.settle()
    if not turn.events and not turn.effects:
        return NOTHING, state
    return Decision(tuple(turn.events), tuple(turn.effects)), turn.state


class _Turn:
    """One input under decision: the state so far, and what has been judged."""

    def __init__(
        self, policy: Policy, state: IncidentState, surroundings: Surroundings, at: datetime
    ) -> None:
        self.policy = policy
        self.state = state
        self.surroundings = surroundings
        self.at = at
        self.events: list[IncidentEvent] = []
        self.effects: list[Effect] = []
        self.refusal = ""

    def emit(self, event: IncidentEvent) -> None:
        self.events.append(event)
        self.state = evolve(self.state, event, self.at)

    # -- Inputs ------------------------------------------------------------------------------------

    def handle(self, received: inp.IncidentInput) -> None:  # noqa: C901, PLR0912 - a case each
        match received:
            case inp.AlertTold():
                self.alert_told(received)
            case inp.DeclarationTold():
                self.declared(received)
            case inp.Acknowledged():
                self.acknowledged(received)
            case inp.PhaseMoved():
                self.phase_moved(received)
            case inp.SeverityChosen():
                self.severity_chosen(received)
            case inp.SecurityBreachDeclared():
                self.breach_declared(received.by)
            case inp.NoteWritten():
                self.note_written(received)
            case inp.ResolvedByPerson():
                self.resolved_by_person(received)
            case inp.ReopenedByPerson():
                self.reopened_by_person(received)
            case inp.TimerFired():
                self.timer_fired(received)
            case inp.DeliveryReported():
                self.delivery_reported(received)
            case inp.ClockMoved(by_s=by_s):
                if self.state.is_open:
                    self.emit(ev.ClocksMoved(by_s))

    def alert_told(self, told: inp.AlertTold) -> None:
        signal = told.signal
        if self.state.opened_at is None:
            if not told.firing or told.stale:
                return  # What is over opens nothing: it speaks of one that was pruned.
            self._open(title_of(signal), told.service, told.revision, origin=signal.source)
        if signal.source == REPORT:
            self._report(signal)
            return
        if told.firing and not told.stale:
            self._alert_fires(signal, told.muted_by)
            return
        known = self.state.alerts.get(signal.fingerprint)
        if known is None or not known.firing:
            return
        if not told.firing:
            self.emit(ev.AlertCleared(signal.fingerprint, known.title))
            self._watch_if_all_clear()
        elif not known.stale:
            self.emit(ev.AlertWentStale(signal.fingerprint, known.title))

    def _alert_fires(self, signal: inp.Signal, muted_by: str | None) -> None:
        known = self.state.alerts.get(signal.fingerprint)
        if known is None:
            self.emit(ev.AlertJoined(signal, muted_by))
        else:
            if known.muted_by != muted_by:
                self.emit(ev.AlertMuted(signal.fingerprint, known.title, muted_by))
            if not known.firing or known.stale:
                self.emit(ev.AlertRefired(signal.fingerprint, known.title))
        if muted_by is not None:
            # Nothing that is silenced grades or wakes; it does when its silence ends.
            return
        if known is None or not known.firing or known.muted_by is not None:
            self._return_if_quiet()
        self._judge(signal)

    def declared(self, told: inp.DeclarationTold) -> None:
        level = None
        if told.severity is not None:
            level = self.policy.severity(told.severity)
            if level is None and self.state.opened_at is not None:
                self.refusal = self._undeclared(told.severity)
                return
        if self.state.opened_at is None:
            self._open(told.title, told.service, told.revision, by=told.by)
        else:
            self.emit(ev.DeclarationJoined(told.title, told.by))
            if not self.state.is_open:
                self._reopen(Because.PERSON, by=told.by)
        if told.security_breach:
            self._find_breach(told.by)
        if level is not None:
            self._grade(Grade(level.level, GradedBecause.PERSON, level.source, by=told.by))
        elif not self.state.security_breach:
            self._grade_if_worse(grade_text(self.policy, self.surroundings.tuning, told.title))
        self._choose_play(told.title)

    def acknowledged(self, act: inp.Acknowledged) -> None:
        if not self.state.is_open:
            self.refusal = (
                f"{self.state.id} is {self.state.phase}. There is nothing to acknowledge."
            )
            return
        waiting = [p for p in self.state.pages.values() if p.acknowledged_at is None]
        mine = [p for p in waiting if act.person in (None, p.person)]
        if self.state.acknowledged_at is not None and not mine:
            # A second tap, or a second tab: it is so already, which is what the person wanted.
            return
        self._acknowledge(act.by, act.via, act.person)

    def phase_moved(self, act: inp.PhaseMoved) -> None:
        if act.phase is Phase.RESOLVED and self.state.is_open:
            self._resolve(Because.PERSON, by=act.by)
            return
        if act.phase is Phase.REVIEWED and self.state.phase is Phase.RESOLVED:
            self.emit(ev.PhaseChanged(Phase.REVIEWED, Because.PERSON, act.by))
            return
        if act.phase is self.state.phase:
            return
        if not self.state.is_open:
            self.refusal = f"{self.state.id} is {self.state.phase}. Reopen it first."
            return
        if act.phase is Phase.REVIEWED:
            self.refusal = f"{self.state.id} is {self.state.phase}. Resolve it before the review."
            return
        if act.phase is Phase.TRIGGERED:
            self.refusal = f"{self.state.id} has begun already. Reopening starts it again."
            return
        if self.state.acknowledged_at is None:
            self._acknowledge(act.by, f"moving it to {act.phase}", None)
        if act.phase is not self.state.phase:
            self.emit(
                ev.PhaseChanged(act.phase, Because.PERSON, act.by, self._process_line(act.phase))
            )
        if act.phase is Phase.MONITORING:
            self._watch_if_all_clear()

    def severity_chosen(self, act: inp.SeverityChosen) -> None:
        level = self.policy.severity(act.level)
        if level is None:
            self.refusal = self._undeclared(act.level)
            return
        if not self.state.is_open:
            self.refusal = f"{self.state.id} is {self.state.phase}. Reopen it first."
            return
        self._grade(
            Grade(level.level, GradedBecause.PERSON, level.source, reason=act.because, by=act.by)
        )

    def breach_declared(self, by: str) -> None:
        if not self.state.is_open:
            self.refusal = f"{self.state.id} is {self.state.phase}. Reopen it first."
            return
        self._find_breach(by)

    def note_written(self, act: inp.NoteWritten) -> None:
        if not act.text.strip():
            self.refusal = "A note needs at least one word."
            return
        self.emit(ev.NoteAdded(act.by, act.text))

    def resolved_by_person(self, act: inp.ResolvedByPerson) -> None:
        if not self.state.is_open:
            self.refusal = f"{self.state.id} is {self.state.phase} already."
            return
        self._resolve(Because.PERSON, by=act.by, reason=act.because)

    def reopened_by_person(self, act: inp.ReopenedByPerson) -> None:
        if self.state.is_open:
            self.refusal = f"{self.state.id} is open. There is nothing to reopen."
            return
        other = self.surroundings.open_incident
        if other and other != self.state.id:
            self.refusal = (
                f"{other} is open for {self.state.service}, and its alerts go there. Work on it"
                f" there; {self.state.id} can be reopened once {other} is resolved."
            )
            return
        self._reopen(Because.PERSON, by=act.by, reason=act.because)

    def timer_fired(self, fired: inp.TimerFired) -> None:
        wanted = timers_of(self.state).get(fired.name)
        if wanted is None or wanted != fired.due_at or self.at < wanted:
            return
        if fired.name == "stability":
            self._end_watch()
        elif fired.name.startswith("repeat/"):
            name = fired.name.removeprefix("repeat/")
            # Who gave the role up is not asked once more: settle() hands the page over.
            if not self._has_given_up(self.state.pages[name]):
                self._repeat(name)
        # Rungs need nothing more: settle() reaches whatever is due.

    def delivery_reported(self, report: inp.DeliveryReported) -> None:
        notice = self.state.notices.get(report.delivery)
        if notice is not None:
            self.emit(
                ev.NoticeDelivered(report.delivery, notice.channel, notice.target)
                if report.delivered
                else ev.NoticeFailed(report.delivery, notice.channel, notice.target, report.detail)
            )
            return
        asked = self.state.asked.get(report.delivery)
        if asked is not None:
            self._page_reported(asked, report)

    # -- Opening and grading -----------------------------------------------------------------------

    def _open(
        self, title: str, service: str, revision: str, *, by: str = "", origin: str = ""
    ) -> None:
        incident = self.state.id
        assert incident, "the shell names the stream before its first input"
        self.emit(ev.IncidentOpened(incident, title, service, revision, by, origin))

    def _report(self, signal: inp.Signal) -> None:
        self.emit(ev.ReportJoined(signal.title, signal.annotations.get("description", "")))
        self._return_if_quiet()
        self._judge(signal)

    def _judge(self, signal: inp.Signal) -> None:
        """Grade by one more signal, and find the scenario if none was found yet."""
        if not self.state.is_open:
            return
        if is_security_breach(signal):
            self._find_breach(signal.source)
        self._grade_if_worse(grade_signal(self.policy, self.surroundings.tuning, signal))
        if self.state.play is None:
            self._play(choose_play(self.policy, self.surroundings.tuning, signal))

    def _choose_play(self, text: str) -> None:
        if self.state.play is not None:
            return
        self._play(match_play(self.policy, text, self.surroundings.tuning))

    def _play(self, found: PlayMatch | None) -> None:
        if found is not None:
            self.emit(ev.PlayChosen(found.play, found.source, found.symptoms, found.words))

    def _find_breach(self, by: str) -> None:
        if self.state.security_breach:
            return
        self.emit(ev.SecurityBreachFound(by))
        self._grade_if_worse(grade_breach(self.policy, self.surroundings.tuning))
        self._plan()

    def _grade_if_worse(self, grade: Grade) -> None:
        current = self.state.grade
        if current is None:
            self._grade(grade)
        elif self._rank(grade.level) < self._rank(current.level):
            if current.because is GradedBecause.PERSON:
                self.emit(ev.SeverityKept(current.level, grade.level, grade.source))
            else:
                self._grade(grade)

    def _grade(self, grade: Grade) -> None:
        previous = self.state.grade
        self.emit(
            ev.SeverityGraded(
                level=grade.level,
                because=grade.because,
                source=grade.source,
                words=grade.words,
                reason=grade.reason,
                by=grade.by,
                previous=previous.level if previous else None,
            )
        )
        if previous is not None and previous.level == grade.level:
            return
        self._plan()
        if previous is not None and self._rank(grade.level) > self._rank(previous.level):
            self._let_go()
        self._tell(Because.OPENED if previous is None else Because.REGRADED)

    def _rank(self, level: str) -> int:
        declared = self.policy.severity(level)
        return declared.rank if declared else len(self.policy.severities)

    def _undeclared(self, level: str) -> str:
        known = ", ".join(s.level for s in self.policy.severities) or "no level at all"
        return f"{level} is not a level of this runbook. It declares {known}."

    # -- Escalation --------------------------------------------------------------------------------

    def _plan(self, *, told: Sequence[tuple[str, int, Urgency]] = ()) -> None:
        """Plan the ladder anew, without those whom it reached and those who were ``told``."""
        rungs = plan_rungs(
            self.policy,
            self.state.severity,
            security_breach=self.state.security_breach,
            reached=(*self.state.reached, *told),
        )
        if rungs != self.state.rungs:
            self.emit(ev.RungsPlanned(rungs))

    def _let_go(self) -> None:
        """A milder severity lets go of those whom it would not have paged by now."""
        assert self.state.started_at is not None  # it was graded before, so it began
        ladder = plan_rungs(
            self.policy, self.state.severity, security_breach=self.state.security_breach
        )
        due = [
            rung
            for rung in ladder
            if rung.urgency is Urgency.PAGE and rung_due(self.state, rung) <= self.at
        ]
        # By person: who holds two roles has one page, under the role that was reached last.
        paged = {
            person.id
            for rung in due
            for role in rung.roles
            for person in self.surroundings.directory.reachable_as(role)
        }
        roles = {role for rung in due for role in rung.roles}
        reached = self.state.reached
        for name, page in self.state.pages.items():
            # Whoever gave such a role up keeps the page until it is handed over.
            kept = name in paged or (page.role in roles and self._has_given_up(page))
            if not kept and page.acknowledged_at is None and not page.stopped:
                self.emit(ev.PageStopped(name, page.name, page.role, self.state.severity))
        # Who was reached ahead of time, and is let go of, is reached when their time comes. Who was
        # paged is not told once more of what is mild now.
        passed_s = (self.at - self.state.started_at).total_seconds()
        self._plan(told=[reach for reach in reached if reach[1] <= passed_s])

    def settle(self) -> None:
        """Draw the consequences that follow from the state alone."""
        if not self.state.is_open:
            return
        self._hold(Hold.MONITORING, self.state.phase is Phase.MONITORING)
        alerts = self.state.alert_counts
        silenced = alerts.firing > 0 and alerts.muted == alerts.firing
        by_people = self.state.declared or self.state.reports > 0
        self._hold(Hold.SILENCED, silenced and not by_people)
        if self.state.holds:
            return
        self._hand_over()
        for rung in pending_rungs(self.state):
            if rung_due(self.state, rung) <= self.at:
                self._escalate(rung, _REASON_BY_CLOCK[rung.clock])

    def _has_given_up(self, page: Page) -> bool:
        """Say whether others hold by now the role in which somebody was paged."""
        holders = self.surroundings.directory.holders(page.role)
        return bool(holders) and all(holder.id != page.person for holder in holders)

    def _hand_over(self) -> None:
        """Whoever is still asked in a role that others hold by now is not; those others are."""
        given_up = [
            (name, page)
            for name, page in self.state.pages.items()
            if page.urgency is Urgency.PAGE
            and page.acknowledged_at is None
            and not page.stopped
            and self._has_given_up(page)
        ]
        for name, page in given_up:
            self.emit(ev.PageHandedOver(name, page.name, page.role))
        for page in {page.role: page for _, page in given_up}.values():
            for person in self.surroundings.directory.holders(page.role):
                asked = self.state.pages.get(person.id)
                if asked is None or asked.stopped or asked.urgency is not Urgency.PAGE:
                    self._page(person, page.role, page.urgency, Because.HANDED_OVER, page.source)

    def _hold(self, hold: Hold, wanted: bool) -> None:
        if wanted and hold not in self.state.holds:
            self.emit(ev.RungsHeld(hold))
        elif not wanted and hold in self.state.holds:
            self.emit(ev.RungsReleased(hold))

    def _escalate(self, rung: Rung, because: Because) -> None:
        self.emit(ev.Escalated(rung, because))
        asked: set[str] = set()
        for role in rung.roles:
            if not self.surroundings.directory.holders(role):
                self.emit(ev.RoleUnheld(role, rung.source))
        for role in rung.roles:
            for person in self.surroundings.directory.reachable_as(role):
                # Somebody who holds two roles of one rung is asked once.
                if person.id not in asked:
                    asked.add(person.id)
                    self._page(person, role, rung.urgency, because, rung.source)

    def _page(
        self,
        person: Person,
        role: str,
        urgency: Urgency,
        because: Because,
        source: Source,
        *,
        repeat: int = 0,
        contact_index: int = 0,
    ) -> None:
        contact = person.contacts[contact_index] if person.contacts else None
        delivery = f"{self.state.id}/d{self.state.deliveries + 1}"
        every_s = self.surroundings.tuning.repeat_every_s
        repeats = urgency is Urgency.PAGE and every_s > 0
        self.emit(
            ev.PageAsked(
                page=person.id,
                delivery=delivery,
                person=person.id,
                name=person.name,
                role=role,
                urgency=urgency,
                because=because,
                source=source,
                contact=contact,
                repeat=repeat,
                contact_index=contact_index,
                repeat_at=self.at + timedelta(seconds=every_s) if repeats else None,
            )
        )
        message = page_message(
            self.policy,
            self.state,
            role=role,
            urgency=urgency,
            because=because,
            repeat=repeat,
            source=source,
        )
        self.effects.append(SendPage(delivery, person.id, person.id, person.name, contact, message))

    def _repeat(self, name: str) -> None:
        page = self.state.pages[name]
        person = self._person(name, page)
        self._page(
            person, page.role, page.urgency, Because.REPEAT, page.source, repeat=page.repeats + 1
        )

    def _page_reported(self, asked: Asked, report: inp.DeliveryReported) -> None:
        name = asked.page
        page = self.state.pages[name]
        if report.delivered:
            self.emit(ev.PageDelivered(name, report.delivery, page.name, asked.contact))
            return
        self.emit(ev.PageFailed(name, report.delivery, page.name, asked.contact, report.detail))
        if page.acknowledged_at is not None or page.stopped or not self.state.is_open:
            return
        if self._has_given_up(page) and not self.state.holds:
            return
        person = self._person(name, page)
        following = asked.contact_index + 1
        if following < len(person.contacts):
            # Of two deliveries by the same contact that overtook each other one falls back.
            if following > page.contact:
                self._page(
                    person,
                    page.role,
                    page.urgency,
                    Because.UNDELIVERABLE,
                    page.source,
                    repeat=page.repeats,
                    contact_index=following,
                )
        elif not page.unreachable:
            self.emit(ev.PersonUnreachable(name, page.name, page.role))
            self._reach_next(page)

    def _reach_next(self, page: Page) -> None:
        """Nobody reads this page, so the next rung is not waited for."""
        if page.urgency is not Urgency.PAGE or self.state.holds:
            return
        seen = {p.role for p in self.state.pages.values()}
        for rung in pending_rungs(self.state):
            if any(role not in seen for role in rung.roles):
                self._escalate(rung, Because.UNDELIVERABLE)
                return

    def _person(self, name: str, page: Page) -> Person:
        from_directory = self.surroundings.directory.people.get(name)
        if from_directory is not None:
            return from_directory
        found = self.surroundings.directory.reachable_as(page.role)
        return next((p for p in found if p.id == name), replace(found[0], id=name, contacts=()))

    # -- Channels ----------------------------------------------------------------------------------

    def _tell(self, because: Because) -> None:
        """Tell every channel that the runbook names for this severity, or that was told before."""
        told = {(t.channel, t.target, t.source.line) for t in self.state.told}
        ends = because in (Because.STABLE, Because.PERSON)
        # Two lines can name one channel; who was told by either of them is told once.
        done: set[tuple[str, str]] = set()
        rules = self.policy.communications
        for rule in sorted(
            rules, key=lambda r: (r.channel, r.target or "", r.source.line) not in told
        ):
            key = (rule.channel, rule.target or "", rule.source.line)
            wanted = key in told if ends else self._concerns(rule) or key in told
            if wanted and key[:2] not in done:
                done.add(key[:2])
                reason = (
                    Because.OPENED if because is Because.REGRADED and key not in told else because
                )
                self._tell_one(rule, reason)

    def _concerns(self, rule: Communication) -> bool:
        """Say whether a rule holds at this severity; without levels, what has no filter holds."""
        if not self.policy.severities:
            return rule.unknown_filter is None
        return self.state.severity in rule.severity

    def _tell_one(self, rule: Communication, because: Because) -> None:
        contacts = () if rule.approval else self._contacts(rule)
        if not contacts:
            self.emit(ev.NoticeLeftToPerson(rule.channel, rule.target or "", because, rule.source))
            return
        message = (
            customer_message(self.state, because)
            if rule.external
            else notice_message(self.policy, self.state, because, rule.source)
        )
        if message is None:
            return
        for contact in contacts:
            delivery = f"{self.state.id}/d{self.state.deliveries + 1}"
            self.emit(
                ev.NoticeAsked(
                    delivery, rule.channel, rule.target or "", contact, because, rule.source
                )
            )
            self.effects.append(SendNotice(delivery, contact, message))

    def _contacts(self, rule: Communication) -> tuple[Contact, ...]:
        directory = self.surroundings.directory
        if rule.target is None:
            return ()
        if rule.channel == "slack":
            channel = directory.channel(rule.target)
            return (channel,) if channel is not None else ()
        if rule.channel == "email":
            return tuple(c for c in directory.audience(rule.target) if c.kind == "email")
        return ()

    # -- Phases ------------------------------------------------------------------------------------

    def _acknowledge(self, by: str, via: str, person: str | None) -> None:
        self.emit(ev.IncidentAcknowledged(by, via, person))
        if self.state.phase is Phase.TRIGGERED:
            source = self._process_line(Phase.ACKNOWLEDGED)
            self.emit(ev.PhaseChanged(Phase.ACKNOWLEDGED, Because.PERSON, by, source))

    def _watch_if_all_clear(self) -> None:
        """Begin the quiet window when nothing fires any more. Stale alerts count as firing."""
        if not self.state.is_open:
            return
        if self.state.alert_counts.firing:
            return
        source = self._process_line(Phase.MONITORING)
        if self.state.phase is not Phase.MONITORING:
            self.emit(ev.PhaseChanged(Phase.MONITORING, Because.ALL_ALERTS_RESOLVED, source=source))
        window = timedelta(seconds=self.surroundings.tuning.stability_s)
        self.emit(ev.MonitoringBegan(self.at + window, source))

    def _end_watch(self) -> None:
        """The window is over: resolve, unless something fires that was only silenced meanwhile."""
        if self.state.alert_counts.firing:
            window = timedelta(seconds=self.surroundings.tuning.stability_s)
            self.emit(ev.MonitoringBegan(self.at + window, self.state.monitoring_source))
            return
        self._resolve(Because.STABLE)

    def _return_if_quiet(self) -> None:
        """Something fires although the incident was quiet or over: it starts again."""
        if self.state.phase is Phase.MONITORING or self.state.phase.is_over:
            self._reopen(Because.REFIRED)

    def _resolve(self, because: Because, *, by: str = "", reason: str = "") -> None:
        source = self._process_line(Phase.MONITORING) if because is Because.STABLE else None
        self.emit(ev.IncidentResolved(because, by, reason, source))
        self._tell(because)
        self.effects.append(TellDesk(self.state.service, inp.IncidentEnded(self.state.id)))

    def _reopen(self, because: Because, *, by: str = "", reason: str = "") -> None:
        was_over = not self.state.is_open
        self.emit(ev.IncidentReopened(because, by, reason))
        if was_over:
            self.effects.append(TellDesk(self.state.service, inp.IncidentReturned(self.state.id)))
        if self.state.grade is None:
            self._grade(
                Grade(default_level(self.policy, self.surroundings.tuning), GradedBecause.DEFAULT)
            )
        self._plan()
        self._tell(Because.REOPENED)

    def _process_line(self, phase: Phase) -> Source | None:
        """Return the line of the process that asks for this phase, for the citation."""
        return _line_of_phase(ThisPolicy(self.policy), phase)


@lru_cache(maxsize=256)
def _line_of_phase(this: ThisPolicy, phase: Phase) -> Source | None:
    wanted = concepts(_PHASE_WORDS[phase]).keys()
    items = (item for checklist in this.policy.checklists for item in checklist.items)
    return next((i.source for i in items if wanted & concepts(i.text).keys()), None)


# The word that names a phase in a process, wherever the document puts it.
_PHASE_WORDS = {
    Phase.TRIGGERED: "detect",
    Phase.ACKNOWLEDGED: "acknowledge",
    Phase.INVESTIGATING: "cause",
    Phase.FIXING: "fix",
    Phase.MONITORING: "stability",
    Phase.RESOLVED: "resolution",
    Phase.REVIEWED: "postmortem",
}


def title_of(signal: inp.Signal) -> str:
    """Return the title of an incident that this signal opens: its summary, else its name."""
    summary = signal.annotations.get("summary", "").strip().splitlines()
    title = summary[0] if summary else signal.title
    return title if len(title) <= _TITLE_MAX else title[: _TITLE_MAX - 1] + "…"


def new_incident(incident: str) -> IncidentState:
    """Return the state of a stream that has had no event yet."""
    return IncidentState(id=incident)
