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
    first = _paging_first(policy)
    for rule in policy.escalations:
        if not rule.after_s or rule.condition is not None or rule.reaches_nobody_new:
            continue
        sooner = [_sooner(rule, first.get(level, ())) for level in rule.severity]
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


def _paging_first(policy: Policy) -> dict[str, list[EscalationRule]]:
    """Return, by level, the rules that may have paged before a clock of another runs out."""
    found: dict[str, list[EscalationRule]] = {}
    seen: set[tuple[str, Clock, int, tuple[str, ...]]] = set()
    for rule in policy.escalations:
        may = rule.clock in (Clock.IMMEDIATE, Clock.UNRESOLVED)
        if not may or rule.urgency is not Urgency.PAGE or rule.condition is not None:
            continue
        for level in rule.severity:
            key = (level, rule.clock, rule.after_s, rule.to)
            if key not in seen:
                seen.add(key)
                found.setdefault(level, []).append(rule)
    return found


def _sooner(rule: EscalationRule, rules: Iterable[EscalationRule]) -> list[EscalationRule]:
    """Return rules that together page everybody of a rule before it does; none if they do not."""
    missing = {role_key(role) for role in rule.to}
    found: list[EscalationRule] = []
    for other in rules:
        if other is rule or not _comes_first(other, rule):
            continue
        here = missing & {role_key(role) for role in other.to}
        if here:
            missing -= here
            found.append(other)
        if not missing:
            return found
    return []


def _comes_first(other: EscalationRule, rule: EscalationRule) -> bool:
    """Say whether a rule has always paged by the time that another does."""
    if other.clock is Clock.IMMEDIATE:
        return True
    # Whatever is unacknowledged is unresolved, too; not the other way round.
    return rule.clock is Clock.UNACKNOWLEDGED and other.after_s <= rule.after_s
