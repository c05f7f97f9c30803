"""What the API says and hears, as types: they encode the answers and describe them in OpenAPI.

Instants are RFC 3339 in UTC. ``line``, ``file`` and ``quote`` cite the runbook line that decided
something; they are null where no line did.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from tocsin.core.messages import say_grade
from tocsin.core.timers import Upcoming

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.base.source import Source
    from tocsin.core.narrate import Entry
    from tocsin.core.policy import Finding
    from tocsin.core.state import IncidentAlert, IncidentState, Page
    from tocsin.store.alerts import AlertRow
    from tocsin.store.deliveries import DeliveryRow


class SeverityReason(msgspec.Struct, frozen=True):
    """Why an incident has its severity.

    ``because`` is "label", "criterion", "scenario", "security_breach", "person" or "default";
    ``words`` are those of the signal that matched, ``reason`` is a person's own sentence;
    ``sentence`` says all of it to a person.
    """

    because: str
    sentence: str
    words: tuple[str, ...]
    reason: str
    by: str
    line: int | None
    file: str | None
    quote: str | None


class IncidentAlertAnswer(msgspec.Struct, frozen=True):
    """One alert of an incident. ``stale``: not sent again in time, which is not resolved."""

    fingerprint: str
    title: str
    source: str
    firing: bool
    stale: bool
    muted_by: str | None
    signals: int


class AlertCountsAnswer(msgspec.Struct, frozen=True):
    """How many alerts an incident has. ``muted`` and ``stale`` count among those that fire.

    ``signals`` counts every time that one of them began to fire.
    """

    total: int
    firing: int
    muted: int
    stale: int
    ended: int
    signals: int


class PageAnswer(msgspec.Struct, frozen=True):
    """One person asked to acknowledge. ``urgency`` is "page" or, for who is only told, "notice"."""

    incident: str
    incident_title: str
    severity: str
    page: str
    person: str
    name: str
    role: str
    urgency: str
    asked_at: datetime
    delivered_at: datetime | None
    acknowledged_at: datetime | None
    repeat_at: datetime | None
    repeats: int
    unreachable: bool
    line: int | None
    file: str | None
    quote: str | None


class IncidentAnswer(msgspec.Struct, frozen=True):
    """One incident. ``revision`` names the runbook it was opened under and keeps.

    ``holds`` says why escalation waits; it is empty while it runs. ``play`` is the scenario of the
    runbook that matches, if one does. ``alerts`` are the first 500 of its alerts, in a list of
    incidents the first 20, those that fire in front; ``alert_counts`` counts all.
    """

    id: str
    title: str
    severity: str
    severity_because: SeverityReason | None
    phase: str
    service: str
    is_open: bool
    security_breach: bool
    opened_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str
    monitoring_until: datetime | None
    resolved_at: datetime | None
    reports: int
    play: str | None
    holds: tuple[str, ...]
    alerts: tuple[IncidentAlertAnswer, ...]
    alert_counts: AlertCountsAnswer
    pages: tuple[PageAnswer, ...]
    revision: str


class IncidentList(msgspec.Struct, frozen=True):
    """Incidents: open first, worst first, then newest."""

    incidents: tuple[IncidentAnswer, ...]


class TimelineEntry(msgspec.Struct, frozen=True):
    """What happened at an instant. ``kind`` is "people", "automatic" or "signals".

    ``event`` names what was judged, ``words`` are what a person wrote.
    """

    at: datetime
    text: str
    kind: str
    who: str
    words: str
    event: str
    line: int | None
    file: str | None
    quote: str | None


class Timeline(msgspec.Struct, frozen=True):
    """The timeline of an incident, oldest first."""

    timeline: tuple[TimelineEntry, ...]


class UpcomingEntry(msgspec.Struct, frozen=True):
    """What will happen, when, and the line that says so. ``waits_for`` is set while it is held."""

    name: str
    due_at: datetime
    sentence: str
    waits_for: str
    line: int | None
    file: str | None
    quote: str | None


class UpcomingList(msgspec.Struct, frozen=True):
    """What will happen next to an incident, soonest first."""

    upcoming: tuple[UpcomingEntry, ...]


class PostmortemAnswer(msgspec.Struct, frozen=True):
    """The post-mortem as drafted now, in the runbook's own template."""

    markdown: str


class DeliveryAnswer(msgspec.Struct, frozen=True):
    """One message to one contact: ``state`` is "pending", "delivered" or "failed"."""

    id: str
    incident: str
    kind: str
    to: str
    contact: str
    state: str
    attempts: int
    detail: str
    created_at: datetime
    updated_at: datetime


class DeliveryList(msgspec.Struct, frozen=True):
    """Deliveries, newest first."""

    deliveries: tuple[DeliveryAnswer, ...]


class PageList(msgspec.Struct, frozen=True):
    """The in-app inbox: the pages of open incidents, worst first."""

    pages: tuple[PageAnswer, ...]


class AlertAnswer(msgspec.Struct, frozen=True):
    """One alert as its service's desk knows it."""

    fingerprint: str
    title: str
    service: str
    source: str
    sender: str
    firing: bool
    stale: bool
    muted_by: str | None
    incident: str | None
    starts_at: datetime
    ends_at: datetime | None
    updated_at: datetime
    url: str
    labels: dict[str, str]
    annotations: dict[str, str]


class AlertList(msgspec.Struct, frozen=True):
    """Alerts, firing and ended."""

    alerts: tuple[AlertAnswer, ...]


class ReportAnswer(msgspec.Struct, frozen=True):
    """A report is kept. ``incident`` is the one it opened or joined, null while that is undecided."""

    fingerprint: str
    incident: str | None


class FindingAnswer(msgspec.Struct, frozen=True):
    """What ``tocsin check`` says about one place of the runbook."""

    code: str
    level: str
    file: str
    line: int
    column: int
    message: str
    remedy: str


class RefusedRunbook(msgspec.Struct, frozen=True):
    """An edited runbook with errors: it is not in force, the one before it is."""

    revision: str
    findings: tuple[FindingAnswer, ...]


class RunbookAnswer(msgspec.Struct, frozen=True):
    """The runbook in force. ``ledger`` counts its lines by what becomes of them.

    ``policy`` is what ``tocsin compile`` prints.
    """

    title: str
    revision: str
    findings: tuple[FindingAnswer, ...]
    ledger: dict[str, int]
    refused: RefusedRunbook | None
    policy: dict[str, Any]


class ContactAnswer(msgspec.Struct, frozen=True):
    """One contact of the settings. ``whose`` names people, audiences and channels.

    ``state`` is how its last delivery went: "delivered", "failing", or "untested" without one;
    ``missing`` says what keeps anything from leaving by it, and is empty where nothing does.
    """

    contact: str
    whose: tuple[str, ...]
    state: str
    delivered_at: datetime | None
    failed_at: datetime | None
    detail: str
    missing: str


class ContactList(msgspec.Struct, frozen=True):
    """Contacts in the order of the settings: those of people first."""

    contacts: tuple[ContactAnswer, ...]


class ContactTrial(msgspec.Struct, frozen=True):
    """One test message: ``state`` is "pending", "delivered" or "failed"."""

    id: str
    contact: str
    state: str
    attempts: int
    detail: str
    created_at: datetime
    updated_at: datetime


class ContactTrials(msgspec.Struct, frozen=True):
    """Test messages, in the order in which they were asked for."""

    tests: tuple[ContactTrial, ...]


class CheckAnswer(msgspec.Struct, frozen=True):
    """What the doctor looked at: ``verdict`` is "ok", "warning" or "problem"."""

    about: str
    verdict: str
    says: str
    remedy: str


class DoctorAnswer(msgspec.Struct, frozen=True):
    """How this Tocsin is. ``verdict`` is the worst of the checks.

    ``database_at`` is the time by the clock of the database, null while it is away; ``server_at``
    that of the machine that answers.
    """

    verdict: str
    version: str
    role: str
    started_at: datetime
    server_at: datetime
    database_at: datetime | None
    checks: tuple[CheckAnswer, ...]


class SignInLink(msgspec.Struct, frozen=True):
    """A link that signs one browser in, once, until ``expires_at``. Whoever opens it may respond."""

    url: str
    expires_at: datetime


class ErrorDetail(msgspec.Struct, frozen=True):
    """What is wrong, in a sentence, and what to do about it (may be empty)."""

    message: str
    hint: str


class ErrorAnswer(msgspec.Struct, frozen=True):
    """Every answer that is not a success."""

    error: ErrorDetail


# -- What is heard ---------------------------------------------------------------------------------


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No field: the address says it all. The body may also be empty."""


class Declare(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An incident that a person declares. Without ``severity`` the runbook grades it.

    An open incident of the same service is joined; without ``service`` the title stands for it.
    """

    title: str
    severity: str | None = None
    service: str | None = None
    security_breach: bool = False


class MovePhase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The phase to move to: "investigating", "fixing", "monitoring", "reviewed", ..."""

    phase: str


class ChooseSeverity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A level that the runbook declares, and why it is right."""

    severity: str
    because: str


class WriteNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words for the timeline."""

    text: str


class GiveReason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why, if there is more to say."""

    because: str = ""


class TryContacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to send a test message: a person, a contact, or "" for every contact of every person."""

    of: str = ""


class Rebuild(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether to compare only, and change nothing."""

    check: bool = False


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a user saw. It opens an incident, or joins the open one of its service."""

    title: str
    text: str | None = None
    service: str | None = None
    reporter: str | None = None


# -- From the core's types -------------------------------------------------------------------------


def incident_answer(state: IncidentState, alerts: Mapping[str, IncidentAlert]) -> IncidentAnswer:
    """Return an incident as the API says it, with some of its alerts by fingerprint."""
    counts = state.alert_counts
    grade = state.grade
    because = None
    if grade is not None:
        line, file, quote = _cited(grade.source)
        because = SeverityReason(
            because=grade.because,
            sentence=f"{say_grade(grade)}.",
            words=grade.words,
            reason=grade.reason,
            by=grade.by,
            line=line,
            file=file,
            quote=quote,
        )
    return IncidentAnswer(
        id=state.id,
        title=state.title,
        severity=state.severity,
        severity_because=because,
        phase=state.phase,
        service=state.service,
        is_open=state.is_open,
        security_breach=state.security_breach,
        opened_at=state.opened_at,
        acknowledged_at=state.acknowledged_at,
        acknowledged_by=state.acknowledged_by,
        monitoring_until=state.monitoring_until,
        resolved_at=state.resolved_at,
        reports=state.reports,
        play=state.play,
        holds=tuple(state.holds),
        alerts=tuple(_incident_alert(name, alert) for name, alert in alerts.items()),
        alert_counts=AlertCountsAnswer(
            total=counts.total,
            firing=counts.firing,
            muted=counts.muted,
            stale=counts.stale,
            ended=counts.ended,
            signals=counts.signals,
        ),
        pages=tuple(page_answer(state, name, page) for name, page in state.pages.items()),
        revision=state.revision,
    )


def page_answer(state: IncidentState, name: str, page: Page) -> PageAnswer:
    """Return one page of an incident; ``name`` is its key there."""
    line, file, quote = _cited(page.source)
    return PageAnswer(
        incident=state.id,
        incident_title=state.title,
        severity=state.severity,
        page=name,
        person=page.person,
        name=page.name,
        role=page.role,
        urgency=page.urgency,
        asked_at=page.asked_at,
        delivered_at=page.delivered_at,
        acknowledged_at=page.acknowledged_at,
        repeat_at=page.repeat_at,
        repeats=page.repeats,
        unreachable=page.unreachable,
        line=line,
        file=file,
        quote=quote,
    )


def timeline_entry(entry: Entry) -> TimelineEntry:
    """Return one line of the timeline as the API says it."""
    line, file, quote = _cited(entry.line.source)
    return TimelineEntry(
        at=entry.at,
        text=entry.line.text,
        kind=entry.line.kind,
        who=entry.line.who,
        words=entry.line.words,
        event=entry.tag,
        line=line,
        file=file,
        quote=quote,
    )


def upcoming_entry(upcoming: Upcoming) -> UpcomingEntry:
    """Return one thing that will happen as the API says it."""
    line, file, quote = _cited(upcoming.source)
    return UpcomingEntry(
        name=upcoming.name,
        due_at=upcoming.due_at,
        sentence=upcoming.sentence,
        waits_for=upcoming.waits_for,
        line=line,
        file=file,
        quote=quote,
    )


def delivery_answer(row: DeliveryRow) -> DeliveryAnswer:
    """Return one delivery as the API says it."""
    return DeliveryAnswer(
        id=row.id,
        incident=row.incident,
        kind=row.kind,
        to=row.to,
        contact=str(row.contact or ""),
        state=row.state,
        attempts=row.attempts,
        detail=row.detail,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def alert_answer(row: AlertRow) -> AlertAnswer:
    """Return one alert as the API says it."""
    record, signal = row.record, row.record.signal
    return AlertAnswer(
        fingerprint=signal.fingerprint,
        title=signal.title,
        service=row.service,
        source=signal.source,
        sender=signal.key,
        firing=record.firing,
        stale=record.stale,
        muted_by=record.muted_by,
        incident=record.incident,
        starts_at=signal.starts_at,
        ends_at=signal.ends_at,
        updated_at=row.updated_at,
        url=signal.url,
        labels=signal.labels,
        annotations=signal.annotations,
    )


def finding_answer(finding: Finding) -> FindingAnswer:
    """Return one finding as ``tocsin check --format json`` does."""
    return FindingAnswer(
        code=finding.code,
        level=finding.level,
        file=finding.source.file,
        line=finding.source.line,
        column=finding.column,
        message=finding.message,
        remedy=finding.remedy,
    )


def _incident_alert(fingerprint: str, alert: IncidentAlert) -> IncidentAlertAnswer:
    return IncidentAlertAnswer(
        fingerprint=fingerprint,
        title=alert.title,
        source=alert.source,
        firing=alert.firing,
        stale=alert.stale,
        muted_by=alert.muted_by,
        signals=alert.signals,
    )


def _cited(source: Source | None) -> tuple[int | None, str | None, str | None]:
    return (source.line, source.file, source.quote) if source else (None, None, None)
