"""What a stream is now: the fold of its events, nothing more."""

from __future__ import annotations

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
    """The desk of one service. ``closed_at`` is when its last incident was over.

    ``alerts`` is the part of its alerts that the turn is about: they live in rows, since a storm
    can have a hundred thousand of them.
    """

    service: str
    incident: str | None = None
    closed_at: datetime | None = None
    alerts: dict[str, AlertRecord] = {}


class IncidentAlert(msgspec.Struct, frozen=True):
    """One alert as its incident sees it."""

    title: str
    source: str
    firing: bool
    muted_by: str | None = None
    stale: bool = False
    signals: int = 1


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
    holds the ``(role, after_s, urgency)`` of everybody whom a rung reached since then. ``asked`` holds the pages under way by delivery. ``declared`` says that
    a person stands behind it, and not signals alone. ``holds`` is empty while escalation runs.
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
