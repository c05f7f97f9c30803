"""The course of incidents, moment by moment: who is reached or told what, how, and by which line.

Made of the events of the core, whether they happened or were only simulated.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from tocsin.base.source import Source
from tocsin.core import events as ev
from tocsin.core.events import Because
from tocsin.core.messages import say_grade
from tocsin.core.narrate import tell
from tocsin.core.policy import Urgency
from tocsin.core.state import Grade

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PAGE, NOTICE, TOLD, PERSON, NOBODY, STATE = (
    "page", "notice", "told", "left to a person", "nobody", "state",
)  # fmt: skip
_CHANNELS = {"slack": "Slack", "email": "e-mail", "status_page": "status page", "x": "X"}
_REASONS = {
    Because.NOT_RESOLVED: "not resolved",
    Because.NOT_ACKNOWLEDGED: "not acknowledged",
    Because.CONDITION: "a condition of the runbook",
    Because.REPEAT: "again, until they acknowledge",
    Because.UNDELIVERABLE: "the way before failed",
    Because.HANDED_OVER: "the role is theirs now",
    Because.OPENED: "opened",
    Because.REGRADED: "new severity",
    Because.REOPENED: "open again",
    Because.REFIRED: "fires again",
    Because.STABLE: "resolved",
    Because.PERSON: "resolved",
}
_UNTOLD = (
    ev.PageDelivered,
    ev.NoticeDelivered,
    ev.AlertJoined,
    ev.RungsPlanned,
    ev.MonitoringBegan,
)


class Moment(msgspec.Struct, frozen=True):
    """One thing of the course.

    ``kind`` is "page" (asks for an acknowledgement), "notice" (tells a person), "told" (tells a
    channel), "left to a person", "nobody" (the role has no holder) or "state". ``whom`` is the
    person or the channel, "" for "state"; ``via`` the way there. ``because`` is the reason of the
    core in one word, ``words`` the same for people, or for "state" the whole sentence. ``times``
    counts repeats that are told as one: every ``every_s`` seconds, the last at ``until``.
    """

    at: datetime
    incident: str
    kind: str
    words: str
    whom: str = ""
    role: str = ""
    via: str = ""
    because: str = ""
    severity: str = ""
    source: Source | None = None
    times: int = 1
    every_s: int = 0
    until: datetime | None = None


def course(happened: Iterable[tuple[datetime, str, ev.Event]]) -> list[Moment]:
    """Return the moments of (instant, incident, event) in the order of time, repeats one by one."""
    moments: list[Moment] = []
    levels: dict[str, str] = {}
    for at, incident, event in happened:
        if isinstance(event, ev.SeverityGraded):
            levels[incident] = event.level
        found = _moment(at, incident, event, levels.get(incident, ""))
        if found is not None:
            moments.append(found)
    return moments


def gathered(moments: Sequence[Moment]) -> list[Moment]:
    """Return moments with the repeated pages of one person, in a row, told as one."""
    told: list[Moment] = []
    open_at: dict[tuple[str, str, str], int] = {}
    for moment in moments:
        key = (moment.incident, moment.whom, moment.role)
        if moment.because != Because.REPEAT:
            told.append(moment)
            if moment.kind == PAGE:
                open_at.pop(key, None)
            continue
        place = open_at.get(key)
        if place is None:
            open_at[key] = len(told)
            told.append(moment)
            continue
        first = told[place]
        last = first.until or first.at
        every_s = first.every_s or round((moment.at - last).total_seconds())
        told[place] = msgspec.structs.replace(
            first, times=first.times + 1, every_s=every_s, until=moment.at
        )
    return told


def since(start: datetime, at: datetime) -> str:
    """Return how long after the start, as hours and minutes: "T+0:15", "T+26:00", "T+0:00:30"."""
    minutes, seconds = divmod(round((at - start).total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"T+{hours}:{minutes:02d}" + (f":{seconds:02d}" if seconds else "")


def span(duration: timedelta) -> str:
    """Return a duration exactly, in the largest units that fit: "1 h 30 min", "3 days"."""
    left = round(duration.total_seconds())
    parts = []
    for size, one, many in (
        (86_400, "day", "days"),
        (3600, "h", "h"),
        (60, "min", "min"),
        (1, "s", "s"),
    ):
        number, left = divmod(left, size)
        if number:
            parts.append(f"{number} {one if number == 1 else many}")
    return " ".join(parts) or "0 s"


def sentence(moment: Moment) -> str:
    """Return what a moment says, without its time and its line."""
    whom = moment.whom
    if moment.role and moment.role != moment.whom:
        whom += f" ({moment.role})"
    match moment.kind:
        case "state":
            return moment.words
        case "nobody":
            return f"Nobody holds the role {moment.whom}"
        case "left to a person":
            return f"A person must tell {moment.whom}: it is not connected here"
        case "page" if moment.because == Because.REPEAT:
            if moment.times > 1:
                every = span(timedelta(seconds=moment.every_s))
                return f"pages {whom} again by {moment.via}, {moment.times} times, every {every}"
            return f"pages {whom} again by {moment.via}"
        case "page" | "notice":
            verb = "pages" if moment.kind == PAGE else "tells"
            return f"{verb} {whom} by {moment.via}: {moment.words}"
        case _:
            return f"tells {whom} by {moment.via}: {moment.words}"


def way(kind: str) -> str:
    """Return a channel as people call it."""
    return _CHANNELS.get(kind, kind)


def _moment(at: datetime, incident: str, event: ev.Event, level: str) -> Moment | None:
    match event:
        case ev.PageAsked():
            kind = PAGE if event.urgency is Urgency.PAGE else NOTICE
            words = f"it is {level}" if event.because is Because.SEVERITY else ""
            return Moment(
                at,
                incident,
                kind,
                words or _REASONS.get(event.because, event.because.value),
                event.name,
                event.role,
                way(event.contact.kind) if event.contact else "the app only",
                event.because.value,
                level,
                event.source,
            )
        case ev.NoticeAsked():
            words = _REASONS.get(event.because, event.because.value)
            whom = event.target or event.channel
            way_there = way(event.contact.kind)
            why = event.because.value
            return Moment(at, incident, TOLD, words, whom, "", way_there, why, level, event.source)
        case ev.NoticeLeftToPerson():
            target = f"{way(event.channel)} {event.target}".strip()
            whom = target if event.target else f"the {way(event.channel)}"
            why = event.because.value
            return Moment(at, incident, PERSON, "", whom, "", "", why, level, event.source)
        case ev.RoleUnheld(role=role, source=source):
            return Moment(at, incident, NOBODY, "", role, role, "", "", level, source)
        case ev.SeverityGraded() if not event.by:
            grade = Grade(event.level, event.because, event.source, event.words)
            said = say_grade(grade)
            return Moment(at, incident, STATE, said, "", "", "", "graded", level, event.source)
    if isinstance(event, _UNTOLD):
        return None
    line = tell(event)
    if line is None:
        return None
    return Moment(at, incident, STATE, line.text, "", "", "", "", level, line.source)
