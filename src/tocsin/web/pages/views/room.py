"""The incident room: what it is, why, what is asked, what comes next, what happened, who knows."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from tocsin.core.events import Hold
from tocsin.core.narrate import narrate
from tocsin.core.phases import Phase
from tocsin.core.policy import CommandClass, StepKind, Urgency
from tocsin.core.progress import done_items, symptoms_seen
from tocsin.core.timers import upcoming
from tocsin.web.pages import saying
from tocsin.web.pages.views.parts import (
    Cite,
    Citer,
    Face,
    Mark,
    Next,
    Reason,
    face_of,
    mark_of,
    needs,
    next_of,
    phase_word,
    reason_of,
    settled_by_another,
    soonest,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tocsin.base.source import Source
    from tocsin.core.events import Event
    from tocsin.core.narrate import Entry
    from tocsin.core.policy import Command, Play, Policy, Step, Symptom
    from tocsin.core.progress import Seen
    from tocsin.core.state import IncidentAlert, IncidentState, Page
    from tocsin.core.surroundings import Directory, Silence
    from tocsin.web.pages.reader import Reader

ENTRIES_SHOWN = 100
ALERTS_SHOWN = 20
KINDS = ("people", "automatic", "signals")

_STEP_ICONS = {
    StepKind.DIAGNOSTIC: "terminal",
    StepKind.ACTION: "hand",
    StepKind.CHECK: "circle-check",
    StepKind.HUMAN: "users",
}
_STEP_WORDS = {
    StepKind.DIAGNOSTIC: "reads only",
    StepKind.ACTION: "changes something",
    StepKind.CHECK: "a check",
    StepKind.HUMAN: "a person does it",
}
_CLASS_WORDS = {
    CommandClass.READ_ONLY: "Reads only",
    CommandClass.MUTATING: "Changes something",
    CommandClass.SENSITIVE_READ: "Reads secrets",
    CommandClass.LONG_RUNNING: "Never ends by itself",
    CommandClass.NEEDS_SHELL: "Needs a shell, so a person runs it",
    CommandClass.NOT_A_COMMAND: "Not a command",
}
_STAGES = {
    Phase.TRIGGERED: ("triage", "detect"),
    Phase.ACKNOWLEDGED: ("triage", "assess"),
    Phase.INVESTIGATING: ("investig", "diagnos"),
    Phase.FIXING: ("resol", "mitigat", "fix"),
    Phase.MONITORING: ("resol", "monitor", "verif"),
    Phase.RESOLVED: ("post", "review", "closure"),
    Phase.REVIEWED: ("post", "review", "closure"),
}
_FORWARD = {
    Phase.TRIGGERED: (Phase.INVESTIGATING, "Start investigating"),
    Phase.ACKNOWLEDGED: (Phase.INVESTIGATING, "Start investigating"),
    Phase.INVESTIGATING: (Phase.FIXING, "Start fixing"),
    Phase.FIXING: (Phase.MONITORING, "Watch for stability"),
}
_NUMBERED = re.compile(r"^\s*(?:\d+[.):]|step \d+:?)\s*", re.IGNORECASE)


class PhaseMark(msgspec.Struct, frozen=True):
    """One phase in the row of phases. ``state`` is "done", "now" or ""."""

    word: str
    state: str
    at: datetime | None


class Asked(msgspec.Struct, frozen=True):
    """The one thing that waits for a person.

    ``verb`` is the button; ``action`` the last part of the address it posts to.
    """

    kind: str
    header: str
    title: str
    cite: Cite | None
    text: str
    verb: str
    action: str
    due: Next | None


class CommandView(msgspec.Struct, frozen=True):
    """A command. ``argv`` is None when it is shown as written."""

    argv: tuple[str, ...] | None
    text: str
    word: str
    why: str
    cite: Cite | None
    changes: bool


class StepView(msgspec.Struct, frozen=True):
    """One step of a play: the margin number, who does it, and what it would run."""

    line: int
    href: str
    title: str
    icon: str
    said: str
    reads: str
    commands: tuple[CommandView, ...]


class SymptomView(msgspec.Struct, frozen=True):
    """A symptom of the scenario: ``reading`` says whether, ``at`` since when it was reported."""

    line: int
    href: str
    text: str
    icon: str
    tone: str
    reading: str
    at: datetime | None = None


class PlayView(msgspec.Struct, frozen=True):
    """The play of this incident."""

    name: str
    cite: Cite | None
    steps: tuple[StepView, ...]
    symptoms: tuple[SymptomView, ...]


class Item(msgspec.Struct, frozen=True):
    """One line of a list; ``done_at`` is set where the journal proves a thing to be done."""

    line: int
    href: str
    text: str
    done_at: datetime | None = None


class Stage(msgspec.Struct, frozen=True):
    """The part of the process that fits the phase."""

    title: str
    cite: Cite | None
    items: tuple[Item, ...]


class Muted(msgspec.Struct, frozen=True):
    """One silence: whose it is, until when it lasts, and why."""

    by: str
    until: datetime
    comment: str


class Wait(msgspec.Struct, frozen=True):
    """Why escalation waits. ``muted`` stands behind ``text``, ``then`` ends it."""

    text: str
    muted: tuple[Muted, ...] = ()
    then: str = ""


class EntryView(msgspec.Struct, frozen=True):
    """One entry of the timeline. ``who`` is bold and in front of ``text``."""

    key: str
    at: datetime
    icon: str
    tone: str
    who: str
    text: str
    words: str
    cite: Cite | None


class PersonView(msgspec.Struct, frozen=True):
    """A person (or a role) and whether they were reached."""

    face: Face
    name: str
    role: str
    tone: str
    icon: str
    state: str
    at: datetime | None
    more: str
    cite: Cite | None = None


class AlertView(msgspec.Struct, frozen=True):
    """One alert of the incident."""

    title: str
    tone: str
    reading: str


class Room(msgspec.Struct, frozen=True):
    """The whole room."""

    id: str
    title: str
    heading: str
    mark: Mark
    service: str
    phase: str
    opened_at: datetime
    resolved_at: datetime | None
    is_open: bool
    is_resolved: bool
    breach: bool
    holder: str
    reason: Reason
    reopened_at: datetime | None
    phases: tuple[PhaseMark, ...]
    asked: Asked | None
    forward: tuple[str, str] | None
    other_phases: tuple[tuple[str, str], ...]
    levels: tuple[tuple[str, str], ...]
    level: str
    play: PlayView | None
    other_plays: tuple[Item, ...]
    stage: Stage | None
    waits: tuple[Wait, ...]
    next: tuple[Next, ...]
    entries: tuple[EntryView, ...]
    entries_hidden: int
    kind: str
    has_notes: bool
    people: tuple[PersonView, ...]
    alerts: tuple[AlertView, ...]
    alerts_hidden: int
    alerts_heading: str
    older_revision: str


def room(
    state: IncidentState,
    recorded: Sequence[tuple[datetime, Event]],
    policy: Policy,
    directory: Directory,
    cite: Citer,
    reader: Reader,
    at: datetime,
    *,
    kind: str = "",
    everything: bool = False,
    older_revision: str = "",
    alerts: Iterable[IncidentAlert] = (),
    silences: Sequence[Silence] = (),
) -> Room:
    """Return the room of an incident. ``kind`` shows only "people", "automatic" or "signals".

    ``alerts`` are its first ones, those that fire in front; ``silences`` are those that mute some.
    """
    entries = _entries(narrate(recorded), cite, reader)
    shown = [entry for entry, of in entries if kind not in KINDS or of == kind]
    shown.reverse()
    hidden = 0 if everything else max(0, len(shown) - ENTRIES_SHOWN)
    comes = tuple(next_of(state, coming, cite, reader, at) for coming in upcoming(state))
    opened = state.opened_at or at
    play = policy.play(state.play)
    return Room(
        id=state.id,
        title=f"{state.severity} {state.title}".strip(),
        heading=state.title,
        mark=mark_of(policy, state.severity),
        service=state.service,
        phase=phase_word(state.phase),
        opened_at=opened,
        resolved_at=state.resolved_at,
        is_open=state.is_open,
        is_resolved=state.phase is Phase.RESOLVED,
        breach=state.security_breach,
        holder=_holder(state, reader),
        reason=reason_of(state.grade, cite, reader),
        reopened_at=state.started_at if state.started_at and state.started_at > opened else None,
        phases=_phases(state),
        asked=_asked(state, comes, cite, reader) if reader.may_respond else None,
        forward=_forward(state),
        other_phases=_other_phases(state),
        levels=tuple(
            (s.level, f"{s.level}, {s.name}" if s.name else s.level) for s in policy.severities
        ),
        level=state.severity,
        play=_play(play, symptoms_seen(policy, play, recorded), cite) if play else None,
        other_plays=tuple(_item(p.name, p.source.line, cite(p.source)) for p in policy.plays),
        stage=_stage(policy, state.phase, done_items(policy, state, recorded), cite),
        waits=_waits(state, silences, reader),
        next=comes,
        entries=tuple(shown[: len(shown) - hidden]),
        entries_hidden=hidden,
        kind=kind if kind in KINDS else "",
        has_notes=any(entry.words for entry, of in entries if of == "people"),
        people=_people(state, policy, directory, cite, reader),
        alerts=tuple(_alert(alert) for alert in _in_order(alerts)[:ALERTS_SHOWN]),
        alerts_hidden=max(0, state.alert_counts.total - ALERTS_SHOWN),
        alerts_heading=_alerts_heading(state),
        older_revision=older_revision,
    )


def _holder(state: IncidentState, reader: Reader) -> str:
    if not state.acknowledged_by:
        return "Nobody has it yet" if state.is_open else ""
    if reader.is_(state.acknowledged_by):
        return "You have it" if state.is_open else "You had it"
    return f"{state.acknowledged_by} {'has' if state.is_open else 'had'} it"


def _phases(state: IncidentState) -> tuple[PhaseMark, ...]:
    return tuple(
        PhaseMark(
            phase_word(phase),
            "now" if phase is state.phase else "done" if phase.order < state.phase.order else "",
            state.phase_at.get(phase.value) if phase.order <= state.phase.order else None,
        )
        for phase in Phase
    )


def _asked(
    state: IncidentState, comes: Sequence[Next], cite: Citer, reader: Reader
) -> Asked | None:
    waiting = needs(state, reader)
    if waiting:
        mine = next((page for page in waiting if reader.is_(page.name)), None)
        first = mine or waiting[0]
        names = saying.listed(["you" if page is mine else page.name for page in waiting])
        repeat = soonest([n for n in comes if n.name.startswith("repeat/")]) or soonest(comes)
        return Asked(
            kind="acknowledge",
            header="You are paged" if mine else "Nobody has acknowledged it",
            title=f"{state.acknowledged_by} has it; say that you have seen it"
            if state.acknowledged_by
            else "Take it, so that everybody knows somebody has it",
            cite=cite(first.source),
            text=(
                "It stops your repeated pages."
                if mine
                else f"{saying.capital(names)} {'is' if len(waiting) == 1 else 'are'} paged; it"
                " stops the repeated pages to them."
            )
            + " What waits for it to be resolved goes on.",
            verb="Acknowledge",
            action="acknowledge",
            due=repeat if repeat and not repeat.held else None,
        )
    all_clear = state.alert_counts.total > 0 and state.alert_counts.firing == 0
    if state.phase is Phase.MONITORING or (state.is_open and all_clear):
        quiet = next((n for n in comes if n.quiet), None)
        return Asked(
            kind="resolve",
            header="Quiet so far" if quiet else "Every alert is resolved",
            title="Say that it is over, or let the quiet watch say it"
            if quiet
            else "Say that it is over",
            cite=None,
            text="Nobody is paged any more, and the channels that were told hear that it is over."
            " If it fires again it opens again by itself.",
            verb="Resolve",
            action="resolve",
            due=quiet,
        )
    return None


def _waits(state: IncidentState, silences: Sequence[Silence], reader: Reader) -> tuple[Wait, ...]:
    found = []
    if Hold.MONITORING in state.holds:
        if state.alert_counts.firing:
            text = "It is being watched, though not every alert is resolved."
        elif state.monitoring_until is not None:
            text = "Every alert is resolved. If one fires again, the clocks start anew."
        else:
            text = "It is being watched, until a person resolves it."
        found.append(Wait(text))
    if Hold.SILENCED in state.holds:
        muted = tuple(
            Muted(
                by="you" if reader.is_(silence.created_by) else silence.created_by or "somebody",
                until=silence.ends_at,
                comment=silence.comment,
            )
            for silence in silences
        )
        text = "Every firing alert is silenced"
        found.append(Wait(text, muted, ". What is overdue then happens at once."))
    return tuple(found)


def _forward(state: IncidentState) -> tuple[str, str] | None:
    step = _FORWARD.get(state.phase) if state.acknowledged_at else None
    return (step[0].value, step[1]) if step else None


def _other_phases(state: IncidentState) -> tuple[tuple[str, str], ...]:
    if state.phase is Phase.RESOLVED:
        return ((Phase.REVIEWED.value, "Reviewed"),)
    if not state.is_open:
        return ()
    choices = (Phase.ACKNOWLEDGED, Phase.INVESTIGATING, Phase.FIXING, Phase.MONITORING)
    return tuple((p.value, phase_word(p)) for p in choices if p is not state.phase)


def _play(play: Play, seen: Mapping[Source, Seen], cite: Citer) -> PlayView:
    return PlayView(
        name=play.name,
        cite=cite(play.source),
        steps=tuple(_step(step, cite) for step in play.steps),
        symptoms=tuple(
            _symptom(symptom, seen.get(symptom.source), cite) for symptom in play.symptoms
        ),
    )


def _symptom(symptom: Symptom, seen: Seen | None, cite: Citer) -> SymptomView:
    icon, tone, reading, at = "circle-dashed", "quiet", "not reported", None
    if seen is not None and seen.cleared_at is not None:
        icon, tone, reading, at = "circle-check", "ok", "cleared", seen.cleared_at
    elif seen is not None:
        icon, tone, reading, at = "circle-x", "bad", "reported", seen.since
    line, href = symptom.source.line, _href(cite(symptom.source))
    return SymptomView(line, href, symptom.text, icon, tone, reading, at)


def _step(step: Step, cite: Citer) -> StepView:
    if step.condition:
        reads = f"“{step.condition}”: a person decides"
    elif step.commands:
        reads = saying.counted(len(step.commands), "command") + " in the runbook"
    elif step.kind is StepKind.HUMAN:
        reads = "The runbook gives no command"
    else:
        reads = ""
    return StepView(
        line=step.source.line,
        href=_href(cite(step.source)),
        title=step.text,
        icon=_STEP_ICONS[step.kind],
        said=_STEP_WORDS[step.kind],
        reads=reads,
        commands=tuple(_command(command, cite) for command in step.commands),
    )


def _command(command: Command, cite: Citer) -> CommandView:
    return CommandView(
        argv=command.argv,
        text=command.text,
        word=_CLASS_WORDS[command.kind],
        why=command.why.strip().rstrip("."),
        cite=cite(command.source),
        changes=command.kind is not CommandClass.READ_ONLY,
    )


def _stage(
    policy: Policy, phase: Phase, done: Mapping[Source, datetime], cite: Citer
) -> Stage | None:
    for word in _STAGES[phase]:
        for checklist in policy.checklists:
            if word in checklist.title.lower() and checklist.items:
                return Stage(
                    title=_NUMBERED.sub("", checklist.title),
                    cite=cite(checklist.source),
                    items=tuple(
                        _item(
                            item.text,
                            item.source.line,
                            cite(item.source),
                            done.get(item.source),
                        )
                        for item in checklist.items
                    ),
                )
    return None


def _item(text: str, line: int, cited: Cite | None, done_at: datetime | None = None) -> Item:
    return Item(line=line, href=_href(cited), text=text, done_at=done_at)


def _href(cited: Cite | None) -> str:
    return cited.href if cited else "/runbook"


def _entries(told: Sequence[Entry], cite: Citer, reader: Reader) -> list[tuple[EntryView, str]]:
    found = []
    for number, entry in enumerate(told, start=1):
        line = entry.line
        who, text = "", line.text
        if line.who and line.text.startswith(line.who):
            who, text = line.who, line.text[len(line.who) :]
            who = "You" if reader.is_(who) else who
        view = EntryView(
            key=f"t{number}",
            at=entry.at,
            icon=line.icon,
            tone=line.tone,
            who=who,
            text=text,
            words=line.words,
            cite=cite(line.source),
        )
        found.append((view, line.kind))
    return found


def _people(
    state: IncidentState, policy: Policy, directory: Directory, cite: Citer, reader: Reader
) -> tuple[PersonView, ...]:
    found = [_person(state, page, directory, reader) for page in state.pages.values()]
    names = {page.role.casefold() for page in state.pages.values()}
    for rule in policy.escalations:
        if rule.condition is None or any(role.casefold() in names for role in rule.to):
            continue
        for role in rule.to:
            holders = saying.listed([p.name for p in directory.holders(role)])
            found.append(
                PersonView(
                    face=Face(saying.initials(role), role),
                    name=saying.capital(saying.small_role(role)),
                    role=holders,
                    tone="quiet",
                    icon="",
                    state="Not paged.",
                    at=None,
                    more="",
                    cite=cite(rule.source),
                )
            )
    return tuple(found)


def _person(state: IncidentState, page: Page, directory: Directory, reader: Reader) -> PersonView:
    stand_in = page.person.startswith("role:")
    role = saying.capital(saying.small_role(page.role))
    settled = settled_by_another(state, page)
    tone, icon, said, at = _reached(page, directory, stand_in=stand_in, settled=settled)
    more = f"{state.acknowledged_by} took it for everybody" if settled else ""
    if page.repeats and page.acknowledged_at is None:
        more = "Paged twice" if page.repeats == 1 else f"Paged {page.repeats + 1} times"
    return PersonView(
        face=face_of(page.name, reader),
        name=role if stand_in else page.name,
        role="" if stand_in else role,
        tone=tone,
        icon=icon,
        state=said,
        at=at,
        more=more,
    )


def _reached(
    page: Page, directory: Directory, *, stand_in: bool, settled: bool
) -> tuple[str, str, str, datetime | None]:
    if settled:
        return "quiet", "check", "Page ended", page.acknowledged_at
    if page.acknowledged_at is not None:
        return "ok", "check", "Acknowledged", page.acknowledged_at
    if stand_in:
        return "warn", "triangle-alert", "Nobody holds this role", None
    if page.stopped:
        return "quiet", "check", "No longer asked", None
    if page.unreachable:
        return "bad", "circle-x", "Not reached: every contact failed", None
    person = directory.people.get(page.person)
    contacts = person.contacts if person else ()
    via = ""
    if page.contact < len(contacts):
        via = f" by {saying.contact(contacts[page.contact].kind)}"
    if page.urgency is Urgency.NOTICE:
        return "quiet", "send", f"Told{via}", page.delivered_at or page.asked_at
    if page.delivered_at is not None:
        return "warn", "hourglass", f"Sent{via}, no answer yet", page.delivered_at
    if not contacts:
        return "warn", "hourglass", "In the app only, no answer yet", None
    return "warn", "hourglass", f"On its way{via}", None


def _in_order(alerts: Iterable[IncidentAlert]) -> list[IncidentAlert]:
    return sorted(alerts, key=lambda a: (not a.firing, -a.signals, a.title))


def _alert(alert: IncidentAlert) -> AlertView:
    signals = saying.counted(alert.signals, "signal")
    origin = saying.capital(alert.source)
    if not alert.firing:
        return AlertView(alert.title, "ok", f"{origin}, resolved, {signals}")
    if alert.muted_by:
        return AlertView(alert.title, "", f"{origin}, firing, silenced, {signals}")
    if alert.stale:
        reading = f"{origin}, not sent again in time, which is not resolved"
        return AlertView(alert.title, "warn", reading)
    return AlertView(alert.title, "", f"{origin}, firing, {signals}")


def _alerts_heading(state: IncidentState) -> str:
    counts = state.alert_counts
    if not counts.total:
        return saying.counted(state.reports, "report") if state.reports else "No alerts"
    parts = [saying.counted(counts.total, "alert"), saying.counted(counts.signals, "signal")]
    if state.reports:
        parts.append(saying.counted(state.reports, "report"))
    return ", ".join(parts)
