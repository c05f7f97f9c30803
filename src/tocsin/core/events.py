"""What we judged to be so. Every automatic event carries its reason and its runbook line.

``evolve`` folds these into a state; ``narrate`` turns them into sentences; the journal keeps them.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from tocsin.base.source import Source
from tocsin.core.inputs import Signal
from tocsin.core.phases import Phase
from tocsin.core.policy import Clock, Condition, Urgency
from tocsin.core.surroundings import Contact


class GradedBecause(StrEnum):
    """Why an incident has its severity."""

    LABEL = "label"
    CRITERION = "criterion"
    SCENARIO = "scenario"
    SECURITY_BREACH = "security_breach"
    PERSON = "person"
    DEFAULT = "default"


class Because(StrEnum):
    """Why somebody was paged, a channel told, or a phase entered."""

    SEVERITY = "severity"
    NOT_RESOLVED = "not_resolved"
    NOT_ACKNOWLEDGED = "not_acknowledged"
    CONDITION = "condition"
    REPEAT = "repeat"
    UNDELIVERABLE = "undeliverable"
    HANDED_OVER = "handed_over"
    OPENED = "opened"
    REGRADED = "regraded"
    REOPENED = "reopened"
    REFIRED = "refired"
    ALL_ALERTS_RESOLVED = "all_alerts_resolved"
    STABLE = "stable"
    PERSON = "person"


class Hold(StrEnum):
    """Why rungs and repeats wait."""

    MONITORING = "monitoring"
    SILENCED = "silenced"


class Rung(msgspec.Struct, frozen=True):
    """One planned step of the escalation ladder of an incident.

    ``after_s`` counts from the incident's start. ``roles`` are in the document's words; who holds
    them is looked up when the rung fires.
    """

    roles: tuple[str, ...]
    after_s: int
    clock: Clock
    urgency: Urgency
    source: Source
    condition: Condition | None = None
    reaches_nobody_new: bool = False

    @property
    def name(self) -> str:
        """Return what identifies the rung among those of one incident."""
        return f"L{self.source.line}/{self.after_s}s/{self.urgency}"


# -- Desk ------------------------------------------------------------------------------------------


class AlertPlaced(msgspec.Struct, frozen=True, tag=True):
    """The desk filed an alert under an incident, or kept it muted under none.

    ``incident`` is None only for an alert that never reached an incident (muted, or resolved first).
    """

    signal: Signal
    incident: str | None
    firing: bool
    muted_by: str | None = None
    stale: bool = False


class DeskOpened(msgspec.Struct, frozen=True, tag=True):
    """The desk opened (or took back) an incident; alerts of its service go there from now on."""

    incident: str


class DeskClosed(msgspec.Struct, frozen=True, tag=True):
    """The desk has no open incident any more."""

    incident: str


DeskEvent = AlertPlaced | DeskOpened | DeskClosed

# -- Incident --------------------------------------------------------------------------------------


class IncidentOpened(msgspec.Struct, frozen=True, tag=True):
    """An incident began. ``by`` is a person's name, or empty when a signal opened it."""

    incident: str
    title: str
    service: str
    revision: str
    by: str = ""
    origin: str = ""


class AlertJoined(msgspec.Struct, frozen=True, tag=True):
    """An alert became part of the incident."""

    signal: Signal
    muted_by: str | None = None


class AlertCleared(msgspec.Struct, frozen=True, tag=True):
    """An alert of the incident was reported resolved by its sender."""

    fingerprint: str
    title: str


class AlertRefired(msgspec.Struct, frozen=True, tag=True):
    """A cleared or stale alert of the incident fires again."""

    fingerprint: str
    title: str


class AlertWentStale(msgspec.Struct, frozen=True, tag=True):
    """An alert was not re-sent in time. Expired is not resolved: nothing closes because of it."""

    fingerprint: str
    title: str


class AlertMuted(msgspec.Struct, frozen=True, tag=True):
    """A silence mutes an alert of the incident; ``muted_by`` None ends that."""

    fingerprint: str
    title: str
    muted_by: str | None


class ReportJoined(msgspec.Struct, frozen=True, tag=True):
    """Somebody reported the same thing. Reports never end by themselves."""

    title: str
    text: str = ""


class DeclarationJoined(msgspec.Struct, frozen=True, tag=True):
    """A person declared an incident for a service that already had one."""

    title: str
    by: str


class SecurityBreachFound(msgspec.Struct, frozen=True, tag=True):
    """The incident is a security breach: a person or a labelled signal says so."""

    by: str


class SeverityGraded(msgspec.Struct, frozen=True, tag=True):
    """The incident has a severity, new or changed.

    ``words`` are the words of the signal that matched; ``reason`` is a person's own sentence.
    """

    level: str
    because: GradedBecause
    source: Source | None = None
    words: tuple[str, ...] = ()
    reason: str = ""
    by: str = ""
    previous: str | None = None


class SeverityKept(msgspec.Struct, frozen=True, tag=True):
    """A signal would have been graded worse, but a person's grade stands."""

    level: str
    would_be: str
    source: Source | None = None


class PlayChosen(msgspec.Struct, frozen=True, tag=True):
    """A scenario of the runbook matches. ``words`` are those that matched."""

    play: str
    source: Source
    symptoms: tuple[Source, ...] = ()
    words: tuple[str, ...] = ()


class RungsPlanned(msgspec.Struct, frozen=True, tag=True):
    """The escalation ladder from now on. It replaces the one before it."""

    rungs: tuple[Rung, ...]


class Escalated(msgspec.Struct, frozen=True, tag=True):
    """A rung came due and its people are reached: see the pages that follow."""

    rung: Rung
    because: Because


class PageAsked(msgspec.Struct, frozen=True, tag=True):
    """A page goes out. ``page`` names the person's page in this incident; repeats keep it.

    ``delivery`` is the idempotency key. ``contact`` None means the person has none: in-app only.
    """

    page: str
    delivery: str
    person: str
    name: str
    role: str
    urgency: Urgency
    because: Because
    source: Source
    contact: Contact | None = None
    repeat: int = 0
    contact_index: int = 0
    repeat_at: datetime | None = None


class PageDelivered(msgspec.Struct, frozen=True, tag=True):
    """The channel took the page."""

    page: str
    delivery: str
    name: str
    contact: Contact


class PageFailed(msgspec.Struct, frozen=True, tag=True):
    """The channel did not take the page; the next contact, if any, follows as PageAsked."""

    page: str
    delivery: str
    name: str
    contact: Contact
    detail: str = ""


class PersonUnreachable(msgspec.Struct, frozen=True, tag=True):
    """Every contact of a person failed. The page stands in the app; the next rung is reached."""

    page: str
    name: str
    role: str


class PageStopped(msgspec.Struct, frozen=True, tag=True):
    """The severity changed to one that does not reach this role: the page is not repeated."""

    page: str
    name: str
    role: str
    level: str


class PageHandedOver(msgspec.Struct, frozen=True, tag=True):
    """Somebody else holds the role by now: this page is not repeated, theirs follow as PageAsked."""

    page: str
    name: str
    role: str


class RoleUnheld(msgspec.Struct, frozen=True, tag=True):
    """Nobody holds the role that the runbook names. The page stands in the app only."""

    role: str
    source: Source


class NoticeAsked(msgspec.Struct, frozen=True, tag=True):
    """A channel is told."""

    delivery: str
    channel: str
    target: str
    contact: Contact
    because: Because
    source: Source


class NoticeDelivered(msgspec.Struct, frozen=True, tag=True):
    """The channel took the notice."""

    delivery: str
    channel: str
    target: str


class NoticeFailed(msgspec.Struct, frozen=True, tag=True):
    """The channel did not take the notice after all tries."""

    delivery: str
    channel: str
    target: str
    detail: str = ""


class NoticeLeftToPerson(msgspec.Struct, frozen=True, tag=True):
    """The runbook wants a channel told that is not connected here: a person must do it."""

    channel: str
    target: str
    because: Because
    source: Source


class IncidentAcknowledged(msgspec.Struct, frozen=True, tag=True):
    """Somebody took the incident, or their own page of it (``person``)."""

    by: str
    via: str
    person: str | None = None


class PhaseChanged(msgspec.Struct, frozen=True, tag=True):
    """The incident moved to another phase."""

    phase: Phase
    because: Because
    by: str = ""
    source: Source | None = None


class MonitoringBegan(msgspec.Struct, frozen=True, tag=True):
    """The quiet window runs: at ``until`` the incident resolves unless something fires again."""

    until: datetime
    source: Source | None = None


class RungsHeld(msgspec.Struct, frozen=True, tag=True):
    """Escalation waits, visibly."""

    hold: Hold


class RungsReleased(msgspec.Struct, frozen=True, tag=True):
    """Escalation goes on; what came due meanwhile follows."""

    hold: Hold


class ClocksMoved(msgspec.Struct, frozen=True, tag=True):
    """The database's clock went back by so many seconds, and the incident's clocks with it.

    What was due in ten minutes is still due in ten minutes.
    """

    by_s: float


class NoteAdded(msgspec.Struct, frozen=True, tag=True):
    """A person wrote on the timeline."""

    by: str
    text: str


class IncidentResolved(msgspec.Struct, frozen=True, tag=True):
    """The incident is over."""

    because: Because
    by: str = ""
    reason: str = ""
    source: Source | None = None


class IncidentReopened(msgspec.Struct, frozen=True, tag=True):
    """It was not over. The clocks of the ladder start again."""

    because: Because
    by: str = ""
    reason: str = ""


IncidentEvent = (
    IncidentOpened
    | AlertJoined
    | AlertCleared
    | AlertRefired
    | AlertWentStale
    | AlertMuted
    | ReportJoined
    | DeclarationJoined
    | SecurityBreachFound
    | SeverityGraded
    | SeverityKept
    | PlayChosen
    | RungsPlanned
    | Escalated
    | PageAsked
    | PageDelivered
    | PageFailed
    | PersonUnreachable
    | PageStopped
    | PageHandedOver
    | RoleUnheld
    | NoticeAsked
    | NoticeDelivered
    | NoticeFailed
    | NoticeLeftToPerson
    | IncidentAcknowledged
    | PhaseChanged
    | MonitoringBegan
    | RungsHeld
    | RungsReleased
    | ClocksMoved
    | NoteAdded
    | IncidentResolved
    | IncidentReopened
)
Event = DeskEvent | IncidentEvent
