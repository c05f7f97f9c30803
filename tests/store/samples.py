"""Values that tests of the store write and read back."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

from tocsin.base.source import Source
from tocsin.core.effects import Message, SendNotice, SendPage, Topic
from tocsin.core.events import GradedBecause
from tocsin.core.inputs import Signal
from tocsin.core.phases import Phase
from tocsin.core.state import AlertRecord, Grade, IncidentState
from tocsin.core.surroundings import Contact, Matcher, Silence
from tocsin.store import deliveries

AT = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
EMAIL = Contact("email", "p@example.org")
NASTY = "nul \x00, half \ud800, whole \U0001f514"
NASTY_SHOWN = "nul \ufffd, half \ufffd, whole \U0001f514"


def signal(
    fingerprint: str = "f1", *, ends_at: datetime | None = None, title: str = "Down"
) -> Signal:
    return Signal(fingerprint, "prometheus", title, AT, {"service": "api"}, {}, ends_at)


def alert(
    fingerprint: str = "f1",
    *,
    ends_at: datetime | None = None,
    firing: bool = True,
    stale: bool = False,
    incident: str | None = "INC-1",
) -> AlertRecord:
    return AlertRecord(signal(fingerprint, ends_at=ends_at), firing, incident, None, stale)


def incident(
    number: int,
    *,
    level: str = "P1",
    phase: Phase = Phase.TRIGGERED,
    service: str = "api",
    opened_at: datetime = AT,
    title: str = "Down",
) -> IncidentState:
    return IncidentState(
        id=f"INC-{number}",
        title=title,
        service=service,
        phase=phase,
        grade=Grade(level, GradedBecause.LABEL),
        opened_at=opened_at,
        started_at=opened_at,
    )


def message(headline: str = "P1 api: Down") -> Message:
    return Message(
        Topic.PAGE, "INC-1", headline, "P1", 1, "api", (), Source("runbook.md", 12, "Page")
    )


def page(number: int = 1, contact: Contact | None = EMAIL) -> SendPage:
    return SendPage(f"INC-1/d{number}", "priya", "priya", "Priya", contact, message())


def notice(number: int = 2) -> SendNotice:
    return SendNotice(f"INC-1/d{number}", Contact("slack", "#incidents"), message())


def silence(
    name: str = "s1", *, starts_at: datetime = AT, lasts: timedelta = timedelta(hours=1)
) -> Silence:
    return Silence(
        name, (Matcher("service", "api"),), starts_at, starts_at + lasts, "sam", "deploy"
    )


class _UndoneError(Exception):
    pass


async def left_behind(c: Any) -> list[str]:
    """Return ids of deliveries that a courier would take now, without taking them."""
    found: list[str] = []
    with contextlib.suppress(_UndoneError):
        async with c.transaction():
            taken = await deliveries.lease(c, None, 1, free={}, free_elsewhere=1_000)
            found = sorted(delivery.id for delivery in taken)
            raise _UndoneError
    return found
