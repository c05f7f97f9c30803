"""The desk of a service: the same alert twice is one alert, and each belongs to one incident."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.core.decision import NOTHING, Decision
from tocsin.core.effects import Effect, TellIncident
from tocsin.core.events import AlertPlaced, DeskClosed, DeskEvent, DeskOpened, Event
from tocsin.core.evolve import evolve_desk
from tocsin.core.inputs import (
    AlertLapsed,
    AlertTold,
    DeclarationTold,
    DeskInput,
    IncidentDeclared,
    IncidentEnded,
    IncidentReturned,
    Signal,
    SignalReceived,
    SilencesChanged,
)

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.core.state import AlertRecord, DeskState
    from tocsin.core.surroundings import Surroundings, Tuning

REPORT = "report"
SERVICE_CHARACTERS_MAX = 200


def service_of(signal: Signal, tuning: Tuning) -> str:
    """Return the service a signal is about: its first service label, else ``unknown/<title>``.

    It names a stream, so it is cut to 200 characters.
    """
    for name in tuning.service_labels:
        value = signal.labels.get(name, "").strip()
        if value:
            return value[:SERVICE_CHARACTERS_MAX]
    return f"unknown/{signal.title}"[:SERVICE_CHARACTERS_MAX]


def decide_desk(
    revision: str, state: DeskState, received: DeskInput, surroundings: Surroundings, at: datetime
) -> Decision:
    """Return what a desk makes of one input.

    ``revision`` names the runbook in force, which an incident opened now keeps. Where none is open
    ``surroundings.fresh_incident_id`` must be set, though few inputs use it.
    """
    return judge_desk(revision, state, received, surroundings, at)[0]


def judge_desk(  # noqa: C901 - a case for each input, a line or two for each case
    revision: str, state: DeskState, received: DeskInput, surroundings: Surroundings, at: datetime
) -> tuple[Decision, DeskState]:
    """Return what ``decide_desk`` does, and the state that its events lead to."""
    turn = _Turn(revision, state, surroundings, at)
    match received:
        case SignalReceived(signal=signal):
            turn.signal(signal, received.received_at or at)
        case AlertLapsed(fingerprint=fingerprint):
            turn.lapse(fingerprint)
        case SilencesChanged(fingerprints=fingerprints):
            for fingerprint in fingerprints:
                turn.look_again(fingerprint)
        case IncidentDeclared():
            turn.declare(received)
        case IncidentEnded(incident=incident):
            if state.incident == incident:
                turn.emit(DeskClosed(incident))
        case IncidentReturned(incident=incident):
            if state.incident is None:
                turn.emit(DeskOpened(incident))
    if not turn.events and not turn.effects:
        return NOTHING, state
    return Decision(tuple(turn.events), tuple(turn.effects)), turn.state


class _Turn:
    """One input under decision: the state so far, and what has been judged."""

    def __init__(
        self, revision: str, state: DeskState, surroundings: Surroundings, at: datetime
    ) -> None:
        self.revision = revision
        self.state = state
        self.surroundings = surroundings
        self.at = at
        self.events: list[Event] = []
        self.effects: list[Effect] = []

    def emit(self, event: DeskEvent) -> None:
        self.events.append(event)
        self.state = evolve_desk(self.state, event)

    def signal(self, signal: Signal, received_at: datetime) -> None:
        known = self.state.alerts.get(signal.fingerprint)
        if signal.is_firing(received_at):
            self._fires(signal, known)
        elif known is not None and known.firing and _may_resolve(known, signal):
            self._place(signal, known.incident, firing=False, muted_by=None)

    def lapse(self, fingerprint: str) -> None:
        known = self.state.alerts.get(fingerprint)
        if known is None or not known.firing or known.stale:
            return
        ends_at = known.signal.ends_at
        if ends_at is None or ends_at > self.at:
            return
        self._place(known.signal, known.incident, firing=True, muted_by=known.muted_by, stale=True)

    def look_again(self, fingerprint: str) -> None:
        known = self.state.alerts.get(fingerprint)
        if known is None or not known.firing:
            return
        muted_by = self._muted_by(known.signal)
        if muted_by == known.muted_by:
            return
        if muted_by is None and (known.incident is None or self._is_over(known)):
            self._join(known.signal)
            return
        self._place(known.signal, known.incident, firing=True, muted_by=muted_by, stale=known.stale)

    def declare(self, declared: IncidentDeclared) -> None:
        opens = self.state.incident is None
        if opens:
            self.emit(DeskOpened(self._fresh_id()))
        assert self.state.incident is not None
        told = DeclarationTold(
            title=declared.title,
            service=self.state.service,
            by=declared.by,
            severity=declared.severity,
            security_breach=declared.security_breach,
            opens=opens,
            revision=self.revision,
        )
        self.effects.append(TellIncident(self.state.incident, told))

    def _fires(self, signal: Signal, known: AlertRecord | None) -> None:
        muted_by = self._muted_by(signal)
        if known is not None and known.firing and not known.stale:
            # The same alert sent again. Its end is written through by intake. While its incident is
            # open, another start is no news: of two Prometheus servers that watch the same, each
            # has its own. The latest is remembered, so that one which is later still, once the
            # incident is over, says that the alert ended and fires anew, unseen by us. Only starts
            # are compared with starts: a sender's clock need not agree with ours.
            was_muted = known.muted_by is not None
            began_later = signal.starts_at > known.signal.starts_at
            if muted_by is None and (
                known.incident is None or (self._is_over(known) and (was_muted or began_later))
            ):
                self._join(signal)
            elif known.muted_by != muted_by:
                self._place(signal, known.incident, firing=True, muted_by=muted_by)
            elif began_later:
                self.emit(AlertPlaced(signal, known.incident, firing=True, muted_by=muted_by))
            return
        if muted_by is not None and self.state.incident is None:
            self._place(signal, None, firing=True, muted_by=muted_by)
            return
        self._join(signal, muted_by)

    def _is_over(self, known: AlertRecord) -> bool:
        """Say whether the incident of an alert is not the one that is open here."""
        return known.incident is not None and known.incident != self.state.incident

    def _join(self, signal: Signal, muted_by: str | None = None) -> None:
        opens = self.state.incident is None
        if opens:
            self.emit(DeskOpened(self._fresh_id()))
        self._place(signal, self.state.incident, firing=True, muted_by=muted_by, opens=opens)

    def _place(
        self,
        signal: Signal,
        incident: str | None,
        *,
        firing: bool,
        muted_by: str | None,
        stale: bool = False,
        opens: bool = False,
    ) -> None:
        # A report is told once and never resolved by its sender: it is no firing alert.
        stands = firing and signal.source != REPORT
        self.emit(AlertPlaced(signal, incident, stands, muted_by, stale))
        if incident is None:
            return
        told = AlertTold(
            signal=signal,
            service=self.state.service,
            firing=firing,
            muted_by=muted_by,
            stale=stale,
            opens=opens,
            revision=self.revision,
        )
        self.effects.append(TellIncident(incident, told))

    def _muted_by(self, signal: Signal) -> str | None:
        if signal.source == REPORT:
            # Somebody wrote to us. It is told once, so muting it would lose it.
            return None
        return next(
            (s.id for s in self.surroundings.silences if s.mutes(signal.labels, self.at)), None
        )

    def _fresh_id(self) -> str:
        assert self.surroundings.fresh_incident_id, "one must be at hand where none is open"
        return self.surroundings.fresh_incident_id


def _may_resolve(known: AlertRecord, signal: Signal) -> bool:
    """Say whether this sender may end the alert: nobody ends what another credential began."""
    return known.signal.key == signal.key
