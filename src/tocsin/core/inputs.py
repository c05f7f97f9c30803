"""What reached us. Inputs are facts in the past tense; each goes to exactly one stream.

A desk (one per service) takes signals; an incident takes what its desk tells it, what people do,
what timers and deliveries report.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from tocsin.core.phases import Phase


class Signal(msgspec.Struct, frozen=True):
    """One thing that reached us: an alert firing or resolved, a report, a failed check.

    ``source`` names the integration ("prometheus", "report"); ``key`` names the credential that
    sent it, so that another sender's "resolved" cannot close it. ``ends_at`` in the past means
    resolved. ``fingerprint`` is the same for the same condition.
    """

    fingerprint: str
    source: str
    title: str
    starts_at: datetime
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    ends_at: datetime | None = None
    url: str = ""
    key: str = ""

    def is_firing(self, at: datetime) -> bool:
        """Say whether the condition holds at that instant."""
        return self.ends_at is None or self.ends_at > at


class SignalReceived(msgspec.Struct, frozen=True, tag=True):
    """Desk: a signal arrived.

    ``received_at`` is when; None means now. What fired then is judged as firing, however long it
    had to wait for us.
    """

    signal: Signal
    received_at: datetime | None = None


class AlertLapsed(msgspec.Struct, frozen=True, tag=True):
    """Desk: an alert was not re-sent within its time. It is stale, which is not resolved."""

    fingerprint: str
    ends_at: datetime


class SilencesChanged(msgspec.Struct, frozen=True, tag=True):
    """Desk: a silence began, ended or was withdrawn; look at these alerts again."""

    fingerprints: tuple[str, ...]


class IncidentEnded(msgspec.Struct, frozen=True, tag=True):
    """Desk: the incident is resolved; the next alert opens a new one."""

    incident: str


class IncidentReturned(msgspec.Struct, frozen=True, tag=True):
    """Desk: a person reopened the incident; alerts of this service join it again."""

    incident: str


class IncidentDeclared(msgspec.Struct, frozen=True, tag=True):
    """Desk: a person declares an incident for this service."""

    title: str
    by: str
    severity: str | None = None
    security_breach: bool = False


class AlertTold(msgspec.Struct, frozen=True, tag=True):
    """Incident: its desk says how one of its alerts stands now.

    ``opens`` is set on the first one only, when the desk opened this incident for it. ``revision``
    is that of the runbook in force; the incident keeps that of whatever it is told first.
    """

    signal: Signal
    service: str
    firing: bool
    muted_by: str | None = None
    stale: bool = False
    opens: bool = False
    revision: str = ""


class DeclarationTold(msgspec.Struct, frozen=True, tag=True):
    """Incident: a person declared it, or declared it again."""

    title: str
    service: str
    by: str
    severity: str | None = None
    security_breach: bool = False
    opens: bool = False
    revision: str = ""


class Acknowledged(msgspec.Struct, frozen=True, tag=True):
    """Incident: somebody took it. ``person`` is who was paged, or None for the whole incident."""

    by: str
    via: str
    person: str | None = None


class PhaseMoved(msgspec.Struct, frozen=True, tag=True):
    """Incident: a person moves it to another phase. Resolving has its own input."""

    by: str
    phase: Phase


class SeverityChosen(msgspec.Struct, frozen=True, tag=True):
    """Incident: a person grades it, and says why. A person's grade wins until another person's."""

    by: str
    level: str
    because: str


class SecurityBreachDeclared(msgspec.Struct, frozen=True, tag=True):
    """Incident: a person says this is a security breach."""

    by: str


class NoteWritten(msgspec.Struct, frozen=True, tag=True):
    """Incident: a person writes on the timeline."""

    by: str
    text: str


class ResolvedByPerson(msgspec.Struct, frozen=True, tag=True):
    """Incident: a person says it is over."""

    by: str
    because: str = ""


class ReopenedByPerson(msgspec.Struct, frozen=True, tag=True):
    """Incident: a person says it is not over."""

    by: str
    because: str = ""


class TimerFired(msgspec.Struct, frozen=True, tag=True):
    """Incident: a timer came due. It decides nothing unless the state still waits for just this."""

    name: str
    due_at: datetime


class DeliveryReported(msgspec.Struct, frozen=True, tag=True):
    """Incident: a page or notice was taken by the channel, or given up on."""

    delivery: str
    delivered: bool
    detail: str = ""


class ClockMoved(msgspec.Struct, frozen=True, tag=True):
    """Incident: the database's clock went back by so many seconds.

    Every due time moves with it. It is given to all open incidents before any of them decides
    anything by the clock of after. Desks need it not: they write no instant of that clock down.
    """

    by_s: float


DeskInput = (
    SignalReceived
    | AlertLapsed
    | SilencesChanged
    | IncidentEnded
    | IncidentReturned
    | IncidentDeclared
)
IncidentInput = (
    AlertTold
    | DeclarationTold
    | Acknowledged
    | PhaseMoved
    | SeverityChosen
    | SecurityBreachDeclared
    | NoteWritten
    | ResolvedByPerson
    | ReopenedByPerson
    | TimerFired
    | DeliveryReported
    | ClockMoved
)
Input = DeskInput | IncidentInput

LAPSE_GRACE_S = 360.0
"""An alert lapses only when it was not re-sent for a full period and five minutes more."""

HUMAN_INPUTS = (
    IncidentDeclared,
    DeclarationTold,
    Acknowledged,
    PhaseMoved,
    SeverityChosen,
    SecurityBreachDeclared,
    NoteWritten,
    ResolvedByPerson,
    ReopenedByPerson,
)


def fingerprints_of(received: Input) -> tuple[str, ...]:
    """Return the alerts that an input is about: whoever judges it needs no others."""
    match received:
        case SignalReceived(signal=signal) | AlertTold(signal=signal):
            return (signal.fingerprint,)
        case AlertLapsed(fingerprint=fingerprint):
            return (fingerprint,)
        case SilencesChanged(fingerprints=fingerprints):
            return fingerprints
        case _:
            return ()
