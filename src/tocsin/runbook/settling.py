"""What the path and the criteria mean together: rules that each cite one line."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tocsin.core.policy import Clock, Condition, EscalationRule, Urgency
from tocsin.core.surroundings import role_key
from tocsin.runbook.holes import (
    it_is,
    report_event,
    report_levels_without_criterion,
    report_no_target,
    report_not_carried,
    report_repeats,
    report_silent_levels,
    report_target,
    report_unreached,
    report_untimed,
)
from tocsin.runbook.ladder import EVERY, Climb, Ladder, distinct, first_of, known
from tocsin.runbook.levels import Declared, Scheme
from tocsin.runbook.notes import Notes
from tocsin.runbook.phrases import listed

_LEVELS_FOR_A_NOTICE_MIN = 4


def settle(ladder: Ladder, scheme: Scheme, notes: Notes) -> tuple[EscalationRule, ...]:
    """Join path and criteria into rules, in the order of their lines, and report the holes.

    Where no levels are declared, a rule holds for every incident, and names no level.
    """
    if not scheme.levels:
        only = Scheme((Declared(EVERY, EVERY, "", "", 0),))
        rules = _settled(ladder, only, notes)
        return tuple(msgspec.structs.replace(rule, severity=()) for rule in rules)
    return _settled(ladder, scheme, notes)


def _settled(ladder: Ladder, scheme: Scheme, notes: Notes) -> tuple[EscalationRule, ...]:
    rules: list[EscalationRule] = []
    for climb in ladder.climbs:
        rules.extend(_rules_of(climb, ladder, scheme, notes))
    rules.extend(_event_rules(ladder, notes))
    rules.extend(_unclimbed(ladder, rules, notes))
    rules.extend(_first_response(ladder, scheme, rules, notes))
    rules.sort(key=lambda r: (r.source.line, r.urgency is Urgency.NOTICE))
    report_unreached(ladder, rules, notes)
    report_silent_levels(scheme, rules, ladder, notes)
    report_not_carried(ladder, rules, notes)
    report_levels_without_criterion(ladder, scheme, rules, notes)
    report_repeats(rules, notes)
    return tuple(rules)


def _rules_of(climb: Climb, ladder: Ladder, scheme: Scheme, notes: Notes) -> list[EscalationRule]:
    levels = climb.levels if climb.levels is not None else scheme.words
    source = notes.source(climb.line)
    if climb.condition is not None:
        to = known(climb.to, ladder) or first_of(ladder)
        if not to:
            report_no_target(climb, ("such an event",), notes)
            return []
        report_event("criterion", climb.condition, to, climb.words, climb.line, notes)
        only_for = climb.levels or ()
        return [
            EscalationRule(
                only_for, Clock.EVENT, climb.after_s, to, source, condition=climb.condition
            )
        ]
    if climb.to:
        if not levels:
            return []
        to = known(climb.to, ladder)
        if climb.untimed:
            report_untimed(climb, levels, to, notes)
        return [EscalationRule(levels, climb.clock, climb.after_s, to, source)]
    rules: list[EscalationRule] = []
    by_target: dict[tuple[tuple[str, ...], bool], list[str]] = {}
    for level in levels:
        by_target.setdefault(_targets_by_path(climb, level, ladder), []).append(level)
    for (to, nobody_new), some in by_target.items():
        if not to:
            report_no_target(climb, some, notes)
            continue
        rules.append(
            EscalationRule(
                tuple(some),
                climb.clock,
                climb.after_s,
                to,
                source,
                reaches_nobody_new=nobody_new,
            )
        )
        if climb.untimed:
            report_untimed(climb, some, to, notes)
        else:
            report_target(climb, some, to, nobody_new, ladder, notes)
    return rules


def _targets_by_path(climb: Climb, level: str, ladder: Ladder) -> tuple[tuple[str, ...], bool]:
    """Return whom the path offers for a criterion that names nobody, and whether it had to repeat."""
    admitted = [
        rung
        for rung in ladder.rungs
        if rung.condition is None and (rung.levels is None or level in rung.levels)
    ]
    if climb.clock is Clock.IMMEDIATE:
        return distinct(rung.role for rung in admitted), False
    beyond = distinct(rung.role for rung in admitted if not rung.first)
    if beyond:
        return beyond, False
    return first_of(ladder), True


def _event_rules(ladder: Ladder, notes: Notes) -> list[EscalationRule]:
    by_item: dict[tuple[int, Condition], list[str]] = {}
    for rung in ladder.rungs:
        if rung.condition is not None:
            by_item.setdefault((rung.line, rung.condition), []).append(rung.role)
    return [
        EscalationRule((), Clock.EVENT, 0, distinct(roles), notes.source(line), condition=condition)
        for (line, condition), roles in by_item.items()
    ]


def _unclimbed(
    ladder: Ladder, rules: Sequence[EscalationRule], notes: Notes
) -> list[EscalationRule]:
    """Reach roles at once that the path admits to a level at which no criterion reaches them."""
    reached = {
        (role_key(role), level)
        for rule in rules
        if rule.condition is None
        for role in rule.to
        for level in rule.severity
    }
    by_item: dict[tuple[int, tuple[str, ...]], list[str]] = {}
    for rung in ladder.rungs:
        if rung.first or rung.in_chain or rung.condition is not None or rung.levels is None:
            continue
        key = role_key(rung.role)
        levels = tuple(level for level in rung.levels if (key, level) not in reached)
        if levels:
            reached |= {(key, level) for level in levels}
            by_item.setdefault((rung.line, levels), []).append(rung.role)
    made: list[EscalationRule] = []
    for (line, levels), roles in by_item.items():
        to = distinct(roles)
        made.append(EscalationRule(levels, Clock.IMMEDIATE, 0, to, notes.source(line)))
        notes.find(
            "T127",
            line,
            to[0],
            f"No criterion says when to reach {listed(to)} for {listed(levels)}, so"
            f" {it_is(to)} paged at once.",
            f"Add a criterion: \u201c{levels[-1]}: escalate to {listed(to)} if not resolved in"
            " 1 hour\u201d.",
        )
    return made


def _first_response(
    ladder: Ladder, scheme: Scheme, rules: Sequence[EscalationRule], notes: Notes
) -> list[EscalationRule]:
    first = [rung for rung in ladder.rungs if rung.first and rung.condition is None]
    if not first:
        return []
    admitted = first[0].levels if first[0].levels is not None else scheme.words
    paged_at_once = {
        (role_key(role), level)
        for rule in rules
        if rule.clock is Clock.IMMEDIATE
        for role in rule.to
        for level in rule.severity
    }
    lowest = scheme.words[-1] if len(scheme.levels) >= _LEVELS_FOR_A_NOTICE_MIN else None
    open_levels: dict[tuple[tuple[str, ...], Urgency], list[str]] = {}
    for level in admitted:
        to = tuple(
            role for role in first_of(ladder) if (role_key(role), level) not in paged_at_once
        )
        if to:
            urgency = Urgency.NOTICE if level == lowest else Urgency.PAGE
            open_levels.setdefault((to, urgency), []).append(level)
    source = notes.source(first[0].line)
    return [
        EscalationRule(tuple(levels), Clock.IMMEDIATE, 0, to, source, urgency=urgency)
        for (to, urgency), levels in open_levels.items()
    ]
