"""Who is reached, and when: the ladder of an incident, read off the policy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tocsin.base.source import Source
from tocsin.core.events import Rung
from tocsin.core.policy import Clock, Condition, EscalationRule, Urgency

if TYPE_CHECKING:
    from collections.abc import Collection

    from tocsin.core.policy import Policy

FIRST_RESPONDER = "On-call engineer"
_ON_CALL = re.compile(r"^(?!.*\b(?:secondary|backup)\b).*\bon[- ]?call\b", re.IGNORECASE)


def plan_rungs(
    policy: Policy,
    level: str,
    *,
    security_breach: bool,
    reached: Collection[tuple[str, int, Urgency]] = (),
) -> tuple[Rung, ...]:
    """Return the rungs of an incident of that level, soonest first.

    ``reached`` holds what already happened since the start, as (role, after_s, urgency): such a
    role is not reached again by the same delay. A page covers a notice. Where the policy reaches
    nobody at the start, the first responder is, so that no incident is without one.
    """
    rules = [rule for rule in policy.escalations if _applies(rule, level, security_breach)]
    if not any(rule.after_s == 0 and rule.condition is None for rule in rules):
        rules.insert(0, _stand_in(policy, level))
    # Of two rules that reach the same role at the same time, the more specific one is cited.
    by_precision = sorted(rules, key=lambda r: (len(r.severity) or 99, r.condition is not None))
    taken: set[tuple[str, int, Urgency]] = set(reached)
    rungs: list[Rung] = []
    for rule in by_precision:
        roles = tuple(role for role in rule.to if not _covered(taken, role, rule))
        taken.update((role, rule.after_s, rule.urgency) for role in roles)
        if roles:
            rungs.append(
                Rung(
                    roles=roles,
                    after_s=rule.after_s,
                    clock=rule.clock,
                    urgency=rule.urgency,
                    source=rule.source,
                    condition=rule.condition,
                    reaches_nobody_new=rule.reaches_nobody_new,
                )
            )
    return tuple(sorted(rungs, key=lambda r: (r.after_s, r.source.line)))


def _applies(rule: EscalationRule, level: str, security_breach: bool) -> bool:
    if rule.condition is not None:
        holds = rule.condition is Condition.SECURITY_BREACH and security_breach
        return holds and (not rule.severity or level in rule.severity)
    return not rule.severity or level in rule.severity


def _covered(taken: Collection[tuple[str, int, Urgency]], role: str, rule: EscalationRule) -> bool:
    if (role, rule.after_s, Urgency.PAGE) in taken:
        return True
    return (role, rule.after_s, rule.urgency) in taken


def _stand_in(policy: Policy, level: str) -> EscalationRule:
    declared = policy.severity(level)
    roles = [role for rule in policy.escalations if rule.condition is None for role in rule.to]
    on_call = (role for role in roles if _ON_CALL.search(role))
    role = next(on_call, roles[0] if roles else FIRST_RESPONDER)
    return EscalationRule(
        severity=(level,),
        clock=Clock.IMMEDIATE,
        after_s=0,
        to=(role,),
        source=_first_line(policy) if declared is None else declared.source,
    )


def _first_line(policy: Policy) -> Source:
    return Source(policy.title or "runbook", 1)
