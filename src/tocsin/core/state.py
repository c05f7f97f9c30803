"""What a stream is now: the fold of its events, nothing more."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from tocsin.base.source import Source
from tocsin.core.events import GradedBecause, Hold, Rung
from tocsin.core.inputs import Signal
from tocsin.core.phases import Phase
from tocsin.core.policy import Urgency
from tocsin.core.surroundings import Contact


class AlertRecord(msgspec.Struct, frozen=True):
    """One alert on a desk: the last signal, and where it was filed."""

    signal: Signal
    firing: bool
    incident: str | None = None
    muted_by: str | None = None
    stale: bool = False


class DeskState(msgspec.Struct, frozen=True):
    """The desk of one service.

    ``alerts`` is the part of its alerts that the input is about: they live in rows, since a storm
    can have a hundred thousand of them.
    """

    service: str
    incident: str | None = None
    alerts: dict[str, AlertRecord] = {}


class IncidentAlert(msgspec.Struct, frozen=True):
    """One alert as its incident sees it."""

    title: str
    source: str
    firing: bool
    muted_by: str | None = None
    stale: bool = False
    signals: int = 1

    @property
    def is_muted(self) -> bool:
        """Say whether it fires and a silence keeps it quiet."""
        return self.firing and self.muted_by is not None

    @property
    def is_stale(self) -> bool:
        """Say whether it fires, as far as anybody knows, but was not sent again in time."""
        return self.firing and self.stale


class AlertCounts(msgspec.Struct, frozen=True):
    """How many alerts an incident has. ``muted`` and ``stale`` count among those that fire.

    ``signals`` counts every firing that reached the incident, its first and its returns.
    """

    total: int = 0
    firing: int = 0
    muted: int = 0
    stale: int = 0
    signals: int = 0

    @property
    def ended(self) -> int:
        """Return how many were resolved by their senders and did not fire again."""
        return self.total - self.firing

    def after(self, before: IncidentAlert | None, now: IncidentAlert) -> AlertCounts:
        """Return the counts once an alert that was ``before`` (None: unknown) is ``now``."""
        return AlertCounts(
            self.total + (before is None),
            self.firing + now.firing - (before is not None and before.firing),
            self.muted + now.is_muted - (before is not None and before.is_muted),
            self.stale + now.is_stale - (before is not None and before.is_stale),
            self.signals + now.signals - (0 if before is None else before.signals),
        )


def count_alerts(alerts: Iterable[IncidentAlert]) -> AlertCounts:
    """Return the counts of these alerts."""
    counts = AlertCounts()
    for alert in alerts:
        counts = counts.after(None, alert)
    return counts


class Page(msgspec.Struct, frozen=True):
    """The page of one person in one incident; repeats and fallbacks belong to the same page.

    ``repeat_at`` is None when it is not going to be repeated. ``contact`` counts from 0 into the
    person's contacts. ``stopped`` says that the severity of now does not reach this role.
    """

    person: str
    name: str
    role: str
    urgency: Urgency
    source: Source
    asked_at: datetime
    delivery: str
    repeats: int = 0
    contact: int = 0
    repeat_at: datetime | None = None
    acknowledged_at: datetime | None = None
    delivered_at: datetime | None = None
    unreachable: bool = False
    stopped: bool = False


class Asked(msgspec.Struct, frozen=True):
    """A delivery of a page that was not reported on yet: whose page, and by which contact."""

    page: str
    contact: Contact
    contact_index: int


class Grade(msgspec.Struct, frozen=True):
    """A severity with its reason."""

    level: str
    because: GradedBecause
    source: Source | None = None
    words: tuple[str, ...] = ()
    reason: str = ""
    by: str = ""


class Told(msgspec.Struct, frozen=True):
    """A channel that was told about this incident, so that it also hears how it ends."""

    channel: str
    target: str
    source: Source


class IncidentState(msgspec.Struct, frozen=True):
    """One incident.

    ``started_at`` is when its clocks started: the opening, or the last reopening. ``reached``
    holds the ``(role, after_s, urgency)`` of everybody whom a rung reached since then. ``asked``
    holds the pages under way by delivery. ``declared`` says that a person stands behind it, and not
    signals alone. ``holds`` is empty while escalation runs.

    ``alerts`` is the part of its alerts that the input is about, by fingerprint: all of them are
    rows, since a storm brings a hundred thousand into one incident. ``alert_counts`` counts all.
    """

    id: str = ""
    title: str = ""
    service: str = ""
    revision: str = ""
    phase: Phase = Phase.TRIGGERED
    grade: Grade | None = None
    opened_at: datetime | None = None
    started_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    resolved_at: datetime | None = None
    monitoring_until: datetime | None = None
    monitoring_source: Source | None = None
    declared: bool = False
    security_breach: bool = False
    play: str | None = None
    alerts: dict[str, IncidentAlert] = {}
    alert_counts: AlertCounts = AlertCounts()
    reports: int = 0
    rungs: tuple[Rung, ...] = ()
    reached: tuple[tuple[str, int, Urgency], ...] = ()
    pages: dict[str, Page] = {}
    asked: dict[str, Asked] = {}
    notices: dict[str, Told] = {}
    told: tuple[Told, ...] = ()
    holds: tuple[Hold, ...] = ()
    phase_at: dict[str, datetime] = {}
    deliveries: int = 0

    @property
    def is_open(self) -> bool:
        """Say whether people still work on it."""
        return self.opened_at is not None and not self.phase.is_over

    @property
    def severity(self) -> str:
        """Return the level, or "" before the first grade."""
        return self.grade.level if self.grade else ""
