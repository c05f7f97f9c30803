"""What a page or a notice says, in plain words and in no channel's syntax."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.core.effects import Message, Topic
from tocsin.core.events import Because, GradedBecause
from tocsin.core.policy import Urgency

if TYPE_CHECKING:
    from tocsin.base.source import Source
    from tocsin.core.policy import Policy
    from tocsin.core.state import Grade, IncidentState

_TOPIC_BY_REASON = {
    Because.OPENED: Topic.OPENED,
    Because.REGRADED: Topic.REGRADED,
    Because.REOPENED: Topic.REOPENED,
    Because.REFIRED: Topic.REOPENED,
    Because.STABLE: Topic.RESOLVED,
    Because.PERSON: Topic.RESOLVED,
}


def say_grade(grade: Grade | None) -> str:
    """Return why an incident has its severity, as one sentence without the final stop."""
    if grade is None:
        return "Not graded"
    quote = f" “{grade.source.quote}” (line {grade.source.line})" if grade.source else ""
    match grade.because:
        case GradedBecause.LABEL:
            return f"{grade.level} because the sender says {grade.words[0]}{_line(grade.source)}"
        case GradedBecause.PERSON:
            reason = f": {grade.reason}" if grade.reason else ""
            return f"{grade.level} because {grade.by} says so{reason}"
        case GradedBecause.DEFAULT:
            return f"{grade.level} because nothing in the runbook matches, and that is the default"
        case GradedBecause.SECURITY_BREACH:
            return f"{grade.level} because it is a security breach{_line(grade.source)}"
        case GradedBecause.CRITERION | GradedBecause.SCENARIO:
            return f"{grade.level} because{quote}"


def page_message(
    policy: Policy,
    state: IncidentState,
    *,
    role: str,
    urgency: Urgency,
    because: Because,
    repeat: int,
    source: Source,
) -> Message:
    """Return what a page says: what is wrong, why it is this bad, why you, and what to do."""
    lines = [say_grade(state.grade) + "."]
    match because:
        case Because.NOT_RESOLVED:
            lines.append(f"Not resolved in time, so the runbook reaches the {role.lower()}.")
        case Because.NOT_ACKNOWLEDGED:
            lines.append(f"Not acknowledged in time, so the runbook reaches the {role.lower()}.")
        case Because.CONDITION:
            lines.append(f"Declared as “{source.quote}”, so the runbook reaches the {role}.")
        case Because.REPEAT:
            lines.append(f"You have not acknowledged yet. This is page {repeat + 1}.")
        case Because.UNDELIVERABLE:
            lines.append(f"You are reached as {role}; an earlier way to reach somebody failed.")
        case Because.HANDED_OVER:
            lines.append(f"You are reached as {role}: the role has become yours meanwhile.")
        case _:
            lines.append(f"You are reached as {role}.")
    if state.play:
        lines.append(f"The runbook has a play for this: {state.play}.")
    topic = Topic.PAGE if urgency is Urgency.PAGE else Topic.NOTICE
    return _message(policy, state, topic, tuple(lines), source)


def notice_message(
    policy: Policy, state: IncidentState, because: Because, source: Source
) -> Message:
    """Return what a channel is told: what happened, how bad it is, who has it."""
    lines = [say_grade(state.grade) + "."]
    topic = _TOPIC_BY_REASON.get(because, Topic.OPENED)
    if topic is Topic.RESOLVED:
        lines = [
            "Resolved after a quiet watch."
            if because is Because.STABLE
            else "Resolved by a person."
        ]
    elif state.acknowledged_by:
        lines.append(f"{state.acknowledged_by} has it.")
    else:
        lines.append("Nobody has acknowledged it yet.")
    return _message(policy, state, topic, tuple(lines), source)


_CUSTOMER_WORDS = {
    Topic.OPENED: (
        "We have a problem with our service",
        "We are working on it, and will write again when it is over.",
    ),
    Topic.REOPENED: (
        "The problem with our service is back",
        "We are working on it, and will write again when it is over.",
    ),
    Topic.RESOLVED: (
        "The problem with our service is over",
        "Everything should work as usual again. We are sorry for the trouble.",
    ),
}


def customer_message(state: IncidentState, because: Because) -> Message | None:
    """Return what people outside the team are told, or None where there is no news for them.

    It names no component, no cause and no level of ours, and leads into no room.
    """
    topic = _TOPIC_BY_REASON.get(because, Topic.OPENED)
    words = _CUSTOMER_WORDS.get(topic)
    if words is None:
        return None
    headline, line = words
    return Message(topic, state.id, headline, "", 0, "", lines=(line,), external=True)


def _line(source: Source | None) -> str:
    return f" (line {source.line})" if source is not None else ""


def _message(
    policy: Policy, state: IncidentState, topic: Topic, lines: tuple[str, ...], source: Source
) -> Message:
    level = policy.severity(state.severity)
    return Message(
        topic=topic,
        incident=state.id,
        headline=state.title,
        severity=state.severity,
        rank=level.rank if level else 0,
        service=state.service,
        lines=lines,
        source=source,
    )
