"""Rungs that come too late: everybody they would page has been paged before."""

from __future__ import annotations

from collections.abc import Iterable

from tocsin.core.policy import Clock, EscalationRule, Policy, Urgency
from tocsin.core.surroundings import role_key
from tocsin.runbook.lint.pen import Pen, lines_said
from tocsin.runbook.phrases import listed, say

_CODE = "T170"


def check_rungs(policy: Policy, pen: Pen) -> None:
    """Report each timer that, at every level it counts for, pages only who is paged already.

    A timer that repeats an earlier one on the same clock is left out: the ladder says that.
    """
    for rule in policy.escalations:
        if not rule.after_s or rule.condition is not None or rule.reaches_nobody_new:
            continue
        sooner = [_sooner(rule, level, policy.escalations) for level in rule.severity]
        if not sooner or not all(sooner):
            continue
        lines = sorted({other.source.line for found in sooner for other in found})
        at_once = all(other.after_s == 0 for found in sooner for other in found)
        who, levels = listed(rule.to), listed(rule.severity)
        are = "is" if len(rule.to) == 1 else "are"
        when = "at once" if at_once else "before that"
        pen.find(
            _CODE,
            rule.source,
            rule.to[0],
            f"For {levels}, {who} {are} paged {when} by {lines_said(lines)}; after"
            f" {say(rule.after_s)} this pages nobody new.",
            "Name somebody further up, or take the line out.",
        )


def _sooner(
    rule: EscalationRule, level: str, rules: Iterable[EscalationRule]
) -> list[EscalationRule]:
    """Return rules that together page everybody of a rule before it does; none if they do not."""
    missing = {role_key(role) for role in rule.to}
    found: list[EscalationRule] = []
    for other in rules:
        if other is rule or level not in other.severity or not _comes_first(other, rule):
            continue
        here = missing & {role_key(role) for role in other.to}
        if here:
            missing -= here
            found.append(other)
    return [] if missing else found


def _comes_first(other: EscalationRule, rule: EscalationRule) -> bool:
    """Say whether a rule has always paged by the time that another does."""
    if other.urgency is not Urgency.PAGE or other.condition is not None:
        return False
    if other.clock is Clock.IMMEDIATE:
        return True
    # Whatever is unacknowledged is unresolved, too; not the other way round.
    return (
        other.clock is Clock.UNRESOLVED
        and rule.clock is Clock.UNACKNOWLEDGED
        and other.after_s <= rule.after_s
    )
