"""Events as sentences: what stands on the timeline, in the room, in the post-mortem."""

from __future__ import annotations

from datetime import timedelta
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import msgspec

from tocsin.base.durations import say_duration
from tocsin.base.source import Source
from tocsin.core import events as ev
from tocsin.core.events import Because, GradedBecause, Hold
from tocsin.core.phases import Phase
from tocsin.core.policy import Urgency
from tocsin.core.timers import say_roles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

PEOPLE = "people"
AUTOMATIC = "automatic"
SIGNALS = "signals"

_SOURCE_NAMES = {"prometheus": "Prometheus", "report": "a user report", "healthcheck": "a check"}
_CHANNEL_NAMES = {"slack": "Slack", "email": "E-mail", "status_page": "Status page", "x": "X"}


class Line(msgspec.Struct, frozen=True):
    """One line of a timeline. ``text`` is plain and untrusted; ``icon`` is a Lucide name.

    ``kind`` is "people", "automatic" or "signals"; ``tone`` is "", "bad", "ok" or "act".
    ``who`` is the person who acted, or ""; ``words`` are what that person wrote, or "".
    ``also`` holds further runbook lines when several rules share one line of the timeline.
    """

    text: str
    kind: str
    icon: str
    source: Source | None = None
    tone: str = ""
    who: str = ""
    words: str = ""
    also: tuple[Source, ...] = ()


class Entry(msgspec.Struct, frozen=True):
    """A line of the timeline at its instant. ``tag`` names the event."""

    at: datetime
    tag: str
    line: Line


def narrate(recorded: Iterable[tuple[datetime, ev.Event]]) -> list[Entry]:
    """Return the timeline of an incident, oldest first, without what says nothing to a person.

    Pages and notices that left in the same instant by the same rule stand on one line.
    """
    entries: list[Entry] = []
    waiting: dict[type, list[tuple[datetime, ev.Event]]] = {}

    def flush() -> None:
        for kind, items in waiting.items():
            key, say = _TOGETHER[kind]
            groups: dict[object, list[tuple[datetime, ev.Event]]] = {}
            for at, event in items:
                groups.setdefault((at, key(event)), []).append((at, event))
            for group in groups.values():
                line = say([event for _, event in group])
                entries.append(Entry(group[0][0], kind.__name__, line))
        waiting.clear()

    for at, event in recorded:
        if type(event) in _TOGETHER:
            waiting.setdefault(type(event), []).append((at, event))
            continue
        line = _tell(event)
        if line is not None:
            flush()
            entries.append(Entry(at, type(event).__name__, line))
    flush()
    return entries


def tell(event: ev.Event) -> Line | None:
    """Return one event as a line, or None if it says nothing to a person."""
    if type(event) in _TOGETHER:
        return _TOGETHER[type(event)][1]([event])
    return _tell(event)


@singledispatch
def _tell(event: object) -> Line | None:
    return None


def _pages(pages: Sequence[ev.PageAsked]) -> Line:
    first = pages[0]
    names = dict.fromkeys(_named(p) for p in pages)
    who = _listed(list(names))
    verb = "Paged" if first.urgency is Urgency.PAGE else "Told"
    match first.because:
        case Because.REPEAT:
            text = f"Paged {who} again: page {first.repeat + 1}, not acknowledged"
        case Because.UNDELIVERABLE if first.contact_index:
            text = f"Tried {who} by {_contact(first)} instead"
        case _:
            reason = {
                Because.NOT_RESOLVED: ": not resolved in time",
                Because.NOT_ACKNOWLEDGED: ": not acknowledged in time",
                Because.UNDELIVERABLE: ": nobody before them could be reached",
                Because.HANDED_OVER: ": the role is theirs by now",
            }.get(first.because, "")
            in_app = all(p.contact is None for p in pages)
            text = f"{verb} {who}{' in the app only' if in_app else ''}{reason}"
    icon = "bell-ring" if first.urgency is Urgency.PAGE else "send"
    return Line(text, AUTOMATIC, icon, first.source)


def _notices(notices: Sequence[ev.NoticeAsked]) -> Line:
    first = notices[0]
    targets = dict.fromkeys(_target(n.channel, n.target) for n in notices)
    what = {
        Because.REGRADED: " the new severity",
        Because.REOPENED: " that it is open again",
        Because.STABLE: " that it is resolved",
        Because.PERSON: " that it is resolved",
    }.get(first.because, "")
    text = f"Told {_listed(list(targets))}{what}"
    return Line(text, AUTOMATIC, "send", first.source, also=_also(notices))


def _left(notices: Sequence[ev.NoticeLeftToPerson]) -> Line:
    targets = dict.fromkeys(_target(n.channel, n.target) for n in notices)
    are = "it is" if len(targets) == 1 else "they are"
    text = f"A person must tell {_listed(list(targets))}: {are} not connected here"
    return Line(text, AUTOMATIC, "hand", notices[0].source, also=_also(notices))


def _unheld(roles: Sequence[ev.RoleUnheld]) -> Line:
    names = list(dict.fromkeys(role.role for role in roles))
    what = "the role" if len(names) == 1 else "the roles"
    text = f"Nobody holds {what} {_listed(names)}"
    return Line(text, AUTOMATIC, "triangle-alert", roles[0].source, tone="bad", also=_also(roles))


def _also(
    events: Sequence[ev.NoticeAsked] | Sequence[ev.NoticeLeftToPerson] | Sequence[ev.RoleUnheld],
) -> tuple[Source, ...]:
    sources = {event.source.line: event.source for event in events}
    return tuple(list(sources.values())[1:])


# Events that left in one instant by one reason share a line of the timeline.
_TOGETHER: dict[type, tuple[Callable[[Any], object], Callable[[Any], Line]]] = {
    ev.RoleUnheld: (lambda _: None, _unheld),
    ev.PageAsked: (lambda page: (page.because, page.urgency, page.source.line), _pages),
    ev.NoticeAsked: (lambda notice: notice.because, _notices),
    ev.NoticeLeftToPerson: (lambda notice: notice.because, _left),
}


@_tell.register
def _(event: ev.IncidentOpened) -> Line:
    if event.by:
        text = f"{event.by} declared the incident: {event.title}"
        return Line(text, PEOPLE, "flame", tone="bad", who=event.by)
    origin = _SOURCE_NAMES.get(event.origin, event.origin or "a signal")
    return Line(f"Opened by {origin}: {event.title}", AUTOMATIC, "flame", tone="bad")


@_tell.register
def _(event: ev.AlertJoined) -> Line:
    origin = _SOURCE_NAMES.get(event.signal.source, event.signal.source)
    muted = ", silenced" if event.muted_by else ""
    return Line(f"{event.signal.title} fires, from {origin}{muted}", SIGNALS, "activity")


@_tell.register
def _(event: ev.AlertCleared) -> Line:
    return Line(f"{event.title} is resolved by its sender", SIGNALS, "circle-check", tone="ok")


@_tell.register
def _(event: ev.AlertRefired) -> Line:
    return Line(f"{event.title} fires again", SIGNALS, "activity", tone="bad")


@_tell.register
def _(event: ev.AlertWentStale) -> Line:
    text = f"{event.title} was not sent again in time: stale, which is not resolved"
    return Line(text, SIGNALS, "hourglass")


@_tell.register
def _(event: ev.AlertMuted) -> Line:
    state = "silenced" if event.muted_by else "no longer silenced"
    return Line(f"{event.title} is {state}", SIGNALS, "activity")


@_tell.register
def _(event: ev.ReportJoined) -> Line:
    return Line(f"Reported: {event.title}", SIGNALS, "message-square", words=event.text)


@_tell.register
def _(event: ev.DeclarationJoined) -> Line:
    return Line(f"{event.by} declared it too: {event.title}", PEOPLE, "flame", who=event.by)


@_tell.register
def _(event: ev.SecurityBreachFound) -> Line:
    return Line(f"A security breach, says {event.by}", PEOPLE, "flame", tone="bad", who=event.by)


@_tell.register
def _(event: ev.SeverityGraded) -> Line:
    verb = "Graded" if event.previous is None else f"From {event.previous} to"
    if event.previous == event.level:
        verb = "Kept at"
    match event.because:
        case GradedBecause.PERSON:
            reason = f": {event.reason}" if event.reason else ""
            text = f"{verb} {event.level} by {event.by}{reason}"
            return Line(text, PEOPLE, "flame", event.source, who=event.by)
        case GradedBecause.LABEL:
            text = f"{verb} {event.level}: the sender says {_listed(list(event.words))}"
        case GradedBecause.SECURITY_BREACH:
            text = f"{verb} {event.level}: it is a security breach"
        case GradedBecause.DEFAULT:
            text = f"{verb} {event.level}, the default: nothing in the runbook matches"
        case GradedBecause.SCENARIO:
            text = f"{verb} {event.level} by its scenario. Matched {_quoted(event.words)}"
        case GradedBecause.CRITERION:
            text = f"{verb} {event.level}. Matched {_quoted(event.words)}"
    return Line(text, AUTOMATIC, "flame", event.source, tone="bad")


@_tell.register
def _(event: ev.SeverityKept) -> Line:
    text = f"A signal deserves {event.would_be}; it stays {event.level}, as a person decided"
    return Line(text, AUTOMATIC, "flame", event.source)


@_tell.register
def _(event: ev.PlayChosen) -> Line:
    text = f"Follows the play {event.play}. Matched {_quoted(event.words)}"
    return Line(text, AUTOMATIC, "list-checks", event.source)


@_tell.register
def _(event: ev.Escalated) -> Line | None:
    # The pages that follow say it with names; only a ladder that went on early needs a line.
    if event.because is not Because.UNDELIVERABLE:
        return None
    text = f"Went on to the {say_roles(event.rung.roles)} early: the rung before is unreachable"
    return Line(text, AUTOMATIC, "phone-call", event.rung.source)


@_tell.register
def _(event: ev.PageDelivered) -> Line:
    text = f"The page to {event.name} was taken by {_kind(event.contact.kind)}"
    return Line(text, AUTOMATIC, "check")


@_tell.register
def _(event: ev.PageFailed) -> Line:
    detail = f": {event.detail}" if event.detail else ""
    text = f"{event.name} could not be reached by {_kind(event.contact.kind)}{detail}"
    return Line(text, AUTOMATIC, "triangle-alert", tone="bad")


@_tell.register
def _(event: ev.PersonUnreachable) -> Line:
    text = f"{event.name} could not be reached by any contact. The page stands in the app"
    return Line(text, AUTOMATIC, "triangle-alert", tone="bad")


@_tell.register
def _(event: ev.PageStopped) -> Line:
    role = say_roles((event.role,))
    text = f"{event.name} is not asked any more: {event.level} has not paged the {role} by now"
    return Line(text, AUTOMATIC, "check")


@_tell.register
def _(event: ev.PageHandedOver) -> Line:
    role = say_roles((event.role,))
    text = f"{event.name} is not asked any more: others hold the role of {role} by now"
    return Line(text, AUTOMATIC, "check")


@_tell.register
def _(event: ev.NoticeFailed) -> Line:
    detail = f": {event.detail}" if event.detail else ""
    text = f"{_target(event.channel, event.target)} could not be told{detail}"
    return Line(text, AUTOMATIC, "triangle-alert", tone="bad")


@_tell.register
def _(event: ev.IncidentAcknowledged) -> Line:
    return Line(
        f"{event.by} acknowledged, via {event.via}", PEOPLE, "check", tone="ok", who=event.by
    )


@_tell.register
def _(event: ev.PhaseChanged) -> Line | None:
    if event.phase is Phase.ACKNOWLEDGED:
        return None  # The acknowledgement itself stands above.
    if event.because is Because.ALL_ALERTS_RESOLVED:
        text = "Monitoring: every alert is resolved"
        return Line(text, AUTOMATIC, "activity", event.source, tone="ok")
    text = f"{event.by} moved it to {event.phase}"
    return Line(text, PEOPLE, "chevron-right", event.source, who=event.by)


@_tell.register
def _(event: ev.RungsHeld) -> Line:
    reason = "monitored" if event.hold is Hold.MONITORING else "silenced"
    return Line(f"Escalation waits while it is {reason}", AUTOMATIC, "hourglass")


@_tell.register
def _(event: ev.RungsReleased) -> Line:
    return Line("Escalation goes on", AUTOMATIC, "hourglass")


@_tell.register
def _(event: ev.ClocksMoved) -> Line:
    back = say_duration(timedelta(seconds=event.by_s))
    text = f"The database's clock went back by {back}. What is still to come keeps its distance"
    return Line(text, AUTOMATIC, "hourglass")


@_tell.register
def _(event: ev.NoteAdded) -> Line:
    return Line(event.by, PEOPLE, "message-square", who=event.by, words=event.text)


@_tell.register
def _(event: ev.IncidentResolved) -> Line:
    if event.because is Because.STABLE:
        text = "Resolved: it stayed quiet for the whole watch"
        return Line(text, AUTOMATIC, "circle-check", event.source, tone="ok")
    reason = f": {event.reason}" if event.reason else ""
    text = f"{event.by} resolved it{reason}"
    return Line(text, PEOPLE, "circle-check", tone="ok", who=event.by)


@_tell.register
def _(event: ev.IncidentReopened) -> Line:
    if event.because is Because.REFIRED:
        return Line(
            "Open again: it fires again. The clocks start anew", AUTOMATIC, "flame", tone="bad"
        )
    reason = f": {event.reason}" if event.reason else ""
    text = f"{event.by} reopened it{reason}. The clocks start anew"
    return Line(text, PEOPLE, "flame", tone="bad", who=event.by)


def _named(page: ev.PageAsked) -> str:
    # Where nobody holds the role, its own name stands for the person.
    role = say_roles((page.role,))
    return f"the {role}" if page.name == page.role else f"{page.name} ({role})"


def _contact(page: ev.PageAsked) -> str:
    return _kind(page.contact.kind) if page.contact else "the app"


def _kind(kind: str) -> str:
    return {"slack": "Slack", "email": "e-mail"}.get(kind, kind)


def _target(channel: str, target: str) -> str:
    name = _CHANNEL_NAMES.get(channel, channel)
    return f"{name} {target}" if target else f"the {name.lower()}"


def _quoted(words: Sequence[str]) -> str:
    return ", ".join(words) if words else "its text"


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
