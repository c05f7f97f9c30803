"""The board: what is open, what needs the reader, who is on call, what to mend on a quiet day."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from tocsin.base.durations import say_duration
from tocsin.core.policy import Clock, Level
from tocsin.core.timers import upcoming
from tocsin.web.pages import saying
from tocsin.web.pages.views.parts import (
    Cite,
    Citer,
    Face,
    Mark,
    Next,
    Reason,
    alerts_reading,
    face_of,
    mark_of,
    needs,
    next_of,
    phase_word,
    reason_of,
    soonest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tocsin.core.policy import Finding, Policy
    from tocsin.core.state import IncidentAlert, IncidentState
    from tocsin.core.surroundings import Directory
    from tocsin.web.pages.reader import Reader

ROWS_A_PAGE = 50
_MENDED_MAX = 5
_MONTH = timedelta(days=30)


class Row(msgspec.Struct, frozen=True):
    """One open incident on the board."""

    id: str
    href: str
    mark: Mark
    title: str
    reading: str
    reason: Reason
    service: str
    phase: str
    holder: Face | None
    opened_at: datetime
    next: Next | None
    needs_reader: bool
    pages: int


class Chip(msgspec.Struct, frozen=True):
    """One filter: a level with how many are open, or all of them (``mark`` None)."""

    value: str
    count: int
    pressed: bool
    mark: Mark | None = None


class Standby(msgspec.Struct, frozen=True):
    """One rung of "on call now". ``names`` is empty where nobody holds the role."""

    letters: str
    role: str
    names: str
    you: bool
    in_app_only: bool


class Done(msgspec.Struct, frozen=True):
    """One incident that was resolved."""

    id: str
    href: str
    mark: Mark
    title: str
    resolved_at: datetime
    lasted: str


class Mend(msgspec.Struct, frozen=True):
    """One thing to mend before the next incident."""

    title: str
    remedy: str
    cite: Cite | None
    is_error: bool


class Dot(msgspec.Struct, frozen=True):
    """One incident in the picture of the last 30 days; ``x`` runs from 0 to 1."""

    x: float
    css: str


class Board(msgspec.Struct, frozen=True):
    """The whole board."""

    heading: str
    below: str
    chips: tuple[Chip, ...]
    lead: Row | None
    rows: tuple[Row, ...]
    standby: tuple[Standby, ...]
    resolved: tuple[Done, ...]
    mend: tuple[Mend, ...]
    mend_heading: str
    mend_more: int
    month: tuple[Dot, ...]
    month_label: str
    open_count: int
    page: int
    pages: int


def board(
    open_incidents: Sequence[IncidentState],
    ended: Sequence[IncidentState],
    policy_of: Callable[[str], Policy | None],
    current: Policy,
    findings: Sequence[Finding],
    directory: Directory,
    citer_of: Callable[[str], Citer],
    reader: Reader,
    at: datetime,
    *,
    alerts: Mapping[str, Mapping[str, IncidentAlert]] = MappingProxyType({}),
    severity: str = "",
    page: int = 1,
) -> Board:
    """Return the board. ``ended`` are resolved incidents, those of the last 30 days at least.

    ``alerts`` are the first ones of each open incident, those that fire in front.
    """
    wanted = severity.casefold()
    rows = [
        _row(
            state,
            policy_of(state.revision),
            alerts.get(state.id, {}).values(),
            citer_of(state.revision),
            reader,
            at,
        )
        for state in open_incidents
    ]
    shown = [row for row in rows if not wanted or row.mark.label.casefold() == wanted]
    lead = next((row for row in shown if row.needs_reader), None)
    others = [row for row in shown if row is not lead]
    pages = max(1, -(-len(others) // ROWS_A_PAGE))
    page = min(max(1, page), pages)
    done = _done(ended, policy_of, at)
    mend = _mend(findings, current, directory, citer_of(""))
    waiting = sum(row.needs_reader for row in rows)
    dots = _month(open_incidents, ended, policy_of, at)
    return Board(
        heading=_heading(len(rows), waiting),
        below=_below(rows, done, ended, at),
        chips=_chips(rows, current, wanted),
        lead=lead,
        rows=tuple(others[(page - 1) * ROWS_A_PAGE : page * ROWS_A_PAGE]),
        standby=standby(current, directory, reader),
        resolved=tuple(d for d in done if at - d.resolved_at <= timedelta(hours=24)),
        mend=mend[:_MENDED_MAX],
        mend_heading=_mend_heading(len(mend)),
        mend_more=max(0, len(mend) - _MENDED_MAX),
        month=dots,
        month_label=f"{saying.counted(len(dots), 'incident')} in the last 30 days.",
        open_count=len(rows),
        page=page,
        pages=pages,
    )


def standby(policy: Policy, directory: Directory, reader: Reader) -> tuple[Standby, ...]:
    """Return who is reached now, in the order of the runbook's ladder."""
    path = sorted(policy.escalations, key=lambda rule: (rule.clock is Clock.EVENT, rule.after_s))
    roles = dict.fromkeys(role for rule in path for role in rule.to)
    found = []
    for role in roles:
        holders = directory.holders(role)
        found.append(
            Standby(
                letters=saying.initials(role),
                role=saying.capital(saying.small_role(role)),
                names=saying.listed([p.name for p in holders if not reader.is_(p.name)]),
                you=any(reader.is_(p.name) for p in holders),
                in_app_only=bool(holders) and not any(p.contacts for p in holders),
            )
        )
    return tuple(found)


def _row(
    state: IncidentState,
    policy: Policy | None,
    alerts: Iterable[IncidentAlert],
    cite: Citer,
    reader: Reader,
    at: datetime,
) -> Row:
    waiting = needs(state, reader)
    comes = [next_of(state, coming, cite, reader, at) for coming in upcoming(state)]
    reason = reason_of(state.grade, cite, reader)
    return Row(
        id=state.id,
        href=f"/incidents/{state.id}",
        mark=mark_of(policy, state.severity),
        title=state.title,
        reading=alerts_reading(state, alerts),
        reason=reason,
        service=state.service,
        phase=phase_word(state.phase),
        holder=face_of(state.acknowledged_by, reader) if state.acknowledged_by else None,
        opened_at=state.opened_at or at,
        next=soonest(comes),
        needs_reader=bool(waiting),
        pages=len(waiting),
    )


def _heading(open_count: int, waiting: int) -> str:
    if open_count == 0:
        return "Nothing is burning."
    head = f"{saying.capital(saying.number(open_count))} open."
    if waiting == 0:
        return f"{head} {'It does not need' if open_count == 1 else 'None needs'} you."
    if open_count == 1:
        return f"{head} It needs you."
    verb = "needs" if waiting == 1 else "need"
    return f"{head} {saying.capital(saying.number(waiting))} {verb} you."


def _below(
    rows: Sequence[Row], done: Sequence[Done], ended: Sequence[IncidentState], at: datetime
) -> str:
    if rows:
        oldest = min(row.opened_at for row in rows)
        nobody = sum(row.holder is None for row in rows)
        have = (
            "Everything is acknowledged."
            if nobody == 0
            else "Nobody has acknowledged it yet."
            if nobody == len(rows) == 1
            else f"{saying.capital(saying.number(nobody))} not acknowledged yet."
        )
        which = "Open" if len(rows) == 1 else "Oldest open"
        return f"{which} for {say_duration(at - oldest)}. {have}"
    if done:
        last = done[0]
        ended_ago = saying.ago(last.resolved_at, at)
        return f"Last incident ended {ended_ago}: {last.title}, after {last.lasted}."
    return "There has been no incident yet. Signals arrive at /api/v2/alerts." if not ended else ""


def _chips(rows: Sequence[Row], policy: Policy, wanted: str) -> tuple[Chip, ...]:
    counts: dict[str, int] = {}
    marks: dict[str, Mark] = {s.level: mark_of(policy, s.level) for s in policy.severities}
    for row in rows:
        counts[row.mark.label] = counts.get(row.mark.label, 0) + 1
        marks.setdefault(row.mark.label, row.mark)
    chips = [Chip("", len(rows), pressed=not wanted)]
    chips += [
        Chip(label, counts.get(label, 0), pressed=label.casefold() == wanted, mark=mark)
        for label, mark in marks.items()
        if counts.get(label) or label.casefold() == wanted
    ]
    return tuple(chips)


def _done(
    ended: Sequence[IncidentState], policy_of: Callable[[str], Policy | None], at: datetime
) -> list[Done]:
    found = [
        Done(
            id=state.id,
            href=f"/incidents/{state.id}",
            mark=mark_of(policy_of(state.revision), state.severity),
            title=state.title,
            resolved_at=state.resolved_at,
            lasted=say_duration(state.resolved_at - (state.opened_at or state.resolved_at)),
        )
        for state in ended
        if state.resolved_at is not None and state.resolved_at <= at
    ]
    return sorted(found, key=lambda d: d.resolved_at, reverse=True)


def _mend(
    findings: Sequence[Finding], policy: Policy, directory: Directory, cite: Citer
) -> tuple[Mend, ...]:
    found = [
        Mend(f.message.rstrip("."), f.remedy, cite(f.source), f.level is Level.ERROR)
        for f in sorted(findings, key=lambda f: f.level is not Level.ERROR)
        if f.level in (Level.ERROR, Level.WARNING)
    ]
    if not directory.people and policy.escalations:
        nobody = Mend(
            "Nobody is named yet, so pages stand in the app only",
            "Name people and the roles they hold in tocsin.toml.",
            cite(policy.escalations[0].source),
            is_error=False,
        )
        found.insert(0, nobody)
    return tuple(found)


def _mend_heading(count: int) -> str:
    if count == 0:
        return ""
    things = "thing" if count == 1 else "things"
    return f"{saying.capital(saying.number(count))} {things} to mend before the next one"


def _month(
    open_incidents: Sequence[IncidentState],
    ended: Sequence[IncidentState],
    policy_of: Callable[[str], Policy | None],
    at: datetime,
) -> tuple[Dot, ...]:
    began = at - _MONTH
    found = [
        Dot(
            x=round((state.opened_at - began) / _MONTH, 4),
            css=mark_of(policy_of(state.revision), state.severity).css.replace("p", "s"),
        )
        for state in (*ended, *open_incidents)
        if state.opened_at is not None and began <= state.opened_at <= at
    ]
    return tuple(sorted(found, key=lambda d: d.x))
