"""The page behind a page's link: one thing on the screen, and where it leads."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from tocsin.core.timers import upcoming
from tocsin.web.pages import saying
from tocsin.web.pages.reader import Reader
from tocsin.web.pages.views.parts import (
    Citer,
    Mark,
    Next,
    Reason,
    alerts_reading,
    mark_of,
    next_of,
    reason_of,
    settled_by_another,
    soonest,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tocsin.core.policy import Policy
    from tocsin.core.state import IncidentAlert, IncidentState, Page


class Known(msgspec.Struct, frozen=True):
    """One fact: ``lead`` is bold, ``rest`` follows it."""

    icon: str
    tone: str
    lead: str
    rest: str


class Acknowledging(msgspec.Struct, frozen=True):
    """What the person who was paged sees. ``stand`` is "asked", "yours", "others" or "over"."""

    id: str
    stand: str
    name: str
    mark: Mark
    title: str
    service: str
    opened_at: datetime
    paged: str
    reason: Reason
    known: tuple[Known, ...]
    next: Next | None
    since: datetime | None
    by: str
    phase: str


def acknowledging(
    state: IncidentState,
    key: str,
    policy: Policy | None,
    cite: Citer,
    at: datetime,
    alerts: Iterable[IncidentAlert] = (),
) -> Acknowledging | None:
    """Return the page for the person of page ``key``; None if the incident has no such page.

    ``alerts`` are the first ones of the incident, those that fire in front.
    """
    page = state.pages.get(key)
    if page is None:
        return None
    reader = Reader(page.name, may_respond=False)
    comes = [next_of(state, coming, cite, reader, at) for coming in upcoming(state)]
    own = [n for n in comes if n.name == f"repeat/{key}"]
    stand, since, by = _stand(state, page)
    return Acknowledging(
        id=state.id,
        stand=stand,
        name=page.name,
        mark=mark_of(policy, state.severity),
        title=state.title,
        service=state.service,
        opened_at=state.opened_at or at,
        paged=saying.ago(page.asked_at, at),
        reason=reason_of(state.grade, cite, reader),
        known=_known(state, page, policy, alerts),
        next=soonest(own) or soonest(comes),
        since=since,
        by=by,
        phase=state.phase.value,
    )


def _stand(state: IncidentState, page: Page) -> tuple[str, datetime | None, str]:
    if not state.is_open:
        return "over", state.resolved_at, ""
    if page.acknowledged_at is None:
        return "asked", None, state.acknowledged_by
    if settled_by_another(state, page):
        return "others", page.acknowledged_at, state.acknowledged_by
    return "yours", page.acknowledged_at, page.name


def _known(
    state: IncidentState, page: Page, policy: Policy | None, alerts: Iterable[IncidentAlert]
) -> tuple[Known, ...]:
    found = []
    reading = alerts_reading(state, alerts)
    if reading:
        icon, tone = ("circle-x", "bad") if state.alert_counts.firing else ("circle-check", "ok")
        head, colon, tail = reading.partition(":")
        found.append(Known(icon, tone, head, colon + tail))
    play = policy.play(state.play) if policy else None
    if play is not None:
        steps = saying.counted(len(play.steps), "step")
        found.append(Known("list-checks", "", play.name, f", {steps} in the runbook"))
    others = [p for p in state.pages.values() if p is not page]
    have = [p.name for p in others if p.acknowledged_at is not None]
    if have:
        verb = "has" if len(have) == 1 else "have"
        found.append(Known("user-check", "ok", saying.listed(have), f" {verb} acknowledged"))
    elif others:
        people = saying.counted(len(others), "other", "others")
        verb = "was" if len(others) == 1 else "were"
        found.append(Known("users", "", people, f" {verb} paged, none has acknowledged yet"))
    return tuple(found)
