"""Facts about who is told: as the labels of ``communication.md`` say, and as the compiler reads."""

from __future__ import annotations

import re
from datetime import timedelta

from tests.runbook.labelled.cases import Case
from tocsin.base.durations import parse_duration, say_duration
from tocsin.core.policy import Communication

_CHANNELS = "slack|teams|email|status_page|x|sms|phone|other"
_RULE = re.compile(
    rf"^(?P<levels>.+?) (?P<channel>{_CHANNELS})(?: (?!every |external|approval)(?P<target>\S+))?"
    r"(?: every (?P<every>\w+))?(?P<external> external)?(?P<approval> approval)?(?: external)?$"
)

Fact = tuple[str, ...]


def fact_of_label(label: str) -> Fact:
    """Return the fact that a line of the labelled cases states. ``*`` stays as it is."""
    found = _RULE.match(label)
    assert found is not None, f"{label!r} is no rule of communication"
    every = parse_duration(found["every"]) if found["every"] else None
    return _fact(
        found["levels"],
        found["channel"],
        found["target"] or "",
        say_duration(every) if every else "",
        "external" in label,
        found["approval"] is not None,
    )


def fact_of_rule(rule: Communication, levels: tuple[str, ...]) -> Fact:
    """Return the fact that a compiled rule states, in a document that declares these levels."""
    every = say_duration(timedelta(seconds=rule.cadence_s)) if rule.cadence_s else ""
    words = "*" if rule.severity == levels else " ".join(rule.severity) or "-"
    target = rule.target or ""
    return _fact(words, rule.channel, target, every, rule.external, rule.approval)


def _fact(
    levels: str, channel: str, target: str, every: str, external: bool, approval: bool
) -> Fact:
    said = ("external" if external else "", "approval" if approval else "")
    return (levels, channel, target, every, *said)


def told_labelled(case: Case) -> frozenset[Fact]:
    """Return the facts of a case's labels."""
    return frozenset(map(fact_of_label, case.labels))
