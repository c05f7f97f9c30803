"""What the path and the criteria mean together: rules that each cite one line.

The *path* names roles in order, each with the incidents it is for. The *criteria* say when to
climb, usually without saying to whom. ``settle`` joins them, and reports the holes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from tocsin.core.policy import Clock, Condition, EscalationRule, Level, LineStatus, Urgency
from tocsin.core.surroundings import role_key
from tocsin.runbook.levels import Declared, Scheme
from tocsin.runbook.notes import Notes
from tocsin.runbook.phrases import BREACH, DATA_LOSS, listed, say, short

_LEVELS_FOR_A_NOTICE_MIN = 4
_EVERY = "every incident"
"""Stands for the level of every incident where the document declares none."""


class Rung(msgspec.Struct):
    """One role of the path. ``levels`` is None where the document does not filter.

    An item that names two roles is two rungs of one line. ``first`` marks those of the first item,
    ``in_chain`` those to which an arrow leads from another: without a time they are never reached.
    """

    role: str
    levels: tuple[str, ...] | None
    line: int
    first: bool = False
    condition: Condition | None = None
    in_chain: bool = False


class Climb(msgspec.Struct):
    """One criterion: for these levels, after this long on that clock, to these or to the path.

    ``untimed`` says that the words give no time, and that "at once" is the reading of them.
    """

    levels: tuple[str, ...] | None
    clock: Clock
    after_s: int
    line: int
    to: tuple[str, ...] = ()
    condition: Condition | None = None
    words: str = ""
    untimed: bool = False


class NotCarried(msgspec.Struct):
    """A criterion that no timer can carry: for which levels, and whom it would have reached."""

    levels: tuple[str, ...]
    line: int
    words: str
    to: tuple[str, ...] = ()


class Ladder(msgspec.Struct):
    """What was read so far, over all escalation sections of one document."""

    rungs: list[Rung] = []
    climbs: list[Climb] = []
    not_carried: list[NotCarried] = []


def settle(ladder: Ladder, scheme: Scheme, notes: Notes) -> tuple[EscalationRule, ...]:
    """Join path and criteria into rules, in the order of their lines, and report the holes.

    Where no levels are declared, a rule holds for every incident, and names no level.
    """
    if not scheme.levels:
        only = Scheme((Declared(_EVERY, _EVERY, "", "", 0),))
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
    _report_unreached(ladder, rules, notes)
    _report_silent_levels(scheme, rules, ladder, notes)
    _report_not_carried(ladder, rules, notes)
    _report_levels_without_criterion(ladder, scheme, rules, notes)
    _report_repeats(rules, notes)
    return tuple(rules)


def _rules_of(climb: Climb, ladder: Ladder, scheme: Scheme, notes: Notes) -> list[EscalationRule]:
    levels = climb.levels if climb.levels is not None else scheme.words
    source = notes.source(climb.line)
    if climb.condition is not None:
        to = _known(climb.to, ladder) or _first(ladder)
        if not to:
            _report_no_target(climb, ("such an event",), notes)
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
        to = _known(climb.to, ladder)
        if climb.untimed:
            _report_untimed(climb, levels, to, notes)
        return [EscalationRule(levels, climb.clock, climb.after_s, to, source)]
    rules: list[EscalationRule] = []
    by_target: dict[tuple[tuple[str, ...], bool], list[str]] = {}
    for level in levels:
        by_target.setdefault(_targets_by_path(climb, level, ladder), []).append(level)
    for (to, nobody_new), some in by_target.items():
        if not to:
            _report_no_target(climb, some, notes)
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
            _report_untimed(climb, some, to, notes)
        else:
            _report_target(climb, some, to, nobody_new, ladder, notes)
    return rules


def _targets_by_path(climb: Climb, level: str, ladder: Ladder) -> tuple[tuple[str, ...], bool]:
    """Return whom the path offers for a criterion that names nobody, and whether it had to repeat."""
    admitted = [
        rung
        for rung in ladder.rungs
        if rung.condition is None and (rung.levels is None or level in rung.levels)
    ]
    if climb.clock is Clock.IMMEDIATE:
        return _distinct(rung.role for rung in admitted), False
    beyond = _distinct(rung.role for rung in admitted if not rung.first)
    if beyond:
        return beyond, False
    return _first(ladder), True


def _first(ladder: Ladder) -> tuple[str, ...]:
    return _distinct(rung.role for rung in ladder.rungs if rung.first)


def _distinct(roles: Iterable[str]) -> tuple[str, ...]:
    by_key: dict[str, str] = {}
    for role in roles:
        by_key.setdefault(role_key(role), role)
    return tuple(by_key.values())


def _known(to: tuple[str, ...], ladder: Ladder) -> tuple[str, ...]:
    """Write targets as the path writes them where both mean the same role."""
    by_key = {role_key(rung.role): rung.role for rung in ladder.rungs}
    return tuple(dict.fromkeys(by_key.get(role_key(role), role) for role in to))


def _event_rules(ladder: Ladder, notes: Notes) -> list[EscalationRule]:
    by_item: dict[tuple[int, Condition], list[str]] = {}
    for rung in ladder.rungs:
        if rung.condition is not None:
            by_item.setdefault((rung.line, rung.condition), []).append(rung.role)
    return [
        EscalationRule(
            (), Clock.EVENT, 0, _distinct(roles), notes.source(line), condition=condition
        )
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
        to = _distinct(roles)
        made.append(EscalationRule(levels, Clock.IMMEDIATE, 0, to, notes.source(line)))
        notes.find(
            "T127",
            line,
            to[0],
            f"No criterion says when to reach {listed(to)} for {listed(levels)}, so"
            f" {_is(to)} paged at once.",
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
        to = tuple(role for role in _first(ladder) if (role_key(role), level) not in paged_at_once)
        if to:
            urgency = Urgency.NOTICE if level == lowest else Urgency.PAGE
            open_levels.setdefault((to, urgency), []).append(level)
    source = notes.source(first[0].line)
    return [
        EscalationRule(tuple(levels), Clock.IMMEDIATE, 0, to, source, urgency=urgency)
        for (to, urgency), levels in open_levels.items()
    ]


def _report_target(
    climb: Climb,
    levels: Sequence[str],
    to: tuple[str, ...],
    nobody_new: bool,
    ladder: Ladder,
    notes: Notes,
) -> None:
    lines = _lines_of_path(ladder)
    words = "escalate" if "escalate" in climb.words.casefold() else climb.words
    if nobody_new:
        notes.find(
            "T122",
            climb.line,
            words,
            f"This names no target, and {listed(levels)} {'has' if len(levels) == 1 else 'have'}"
            f" no rung in {lines} beyond"
            f" {listed(to)}: after {say(climb.after_s)} it pages nobody new.",
            f"Name a target here, or let a higher rung of the path include {listed(levels)}."
            f" Until then {listed(to)} {_are(to)} paged again.",
        )
        return
    notes.find(
        "T121",
        climb.line,
        words,
        f"This names no target; {listed(levels)} is read as {listed(to)}, from {lines}.",
        "Name the role here to be explicit.",
    )


def report_event(
    what: str, condition: Condition, to: tuple[str, ...], said: str, line: int, notes: Notes
) -> None:
    """Account for a line that waits for an event, and say who can bring it about."""
    found = BREACH.search(said) or DATA_LOSS.search(said)
    words = found[0] if found else said
    who, are = listed(to), _are(to)
    if condition is Condition.DATA_LOSS:
        rule = f"{what} on a data loss, which nobody can declare yet"
        notes.mark(line, LineStatus.UNSUPPORTED, rule, again=True)
        notes.find(
            "T120",
            line,
            words,
            f"Nobody can declare a data loss yet: {who} {are} never reached by this line.",
            "Name a severity level for such incidents instead.",
            level=Level.WARNING,
        )
        return
    rule = f"{what} on an event: a person declares it"
    notes.mark(line, LineStatus.HUMAN, rule, again=True)
    notes.find(
        "T120",
        line,
        words,
        f"\u201c{words}\u201d is a condition on the event, not a severity: {who} {are} reached"
        " when a person, or a signal's label, says so.",
        "Nothing to do if that is meant; name a level if not.",
    )


def _report_no_target(climb: Climb, levels: Sequence[str], notes: Notes) -> None:
    notes.mark(
        climb.line, LineStatus.UNSUPPORTED, "escalation criterion that reaches nobody", again=True
    )
    notes.find(
        "T123",
        climb.line,
        1,
        f"For {listed(levels)} this names no target, and no escalation path does: nobody is paged"
        " by it.",
        "Name a role: \u201c\u2026 page the team lead\u201d.",
    )


def _report_untimed(climb: Climb, levels: Sequence[str], to: tuple[str, ...], notes: Notes) -> None:
    notes.find(
        "T128",
        climb.line,
        climb.words,
        f"\u201c{short(climb.words)}\u201d gives no time: {listed(to)} {_are(to)} paged at once for"
        f" {listed(levels)}.",
        "Say after how long: \u201c\u2026 if not acknowledged in 15 min\u201d, or"
        " \u201cimmediately\u201d if that is meant.",
    )


def _report_not_carried(ladder: Ladder, rules: Sequence[EscalationRule], notes: Notes) -> None:
    """Say of a line that no timer can carry what happens instead, level by level."""
    for line in ladder.not_carried:
        said = f"\u201c{short(line.words)}\u201d is no rule that can be timed."
        to = _known(line.to, ladder)
        if to:
            said += f" {listed(to)} {_are(to)} not paged by it."
        elif not line.levels:
            said += " Nobody is paged by it."
        by_outcome: dict[str, list[str]] = {}
        for level in line.levels:
            by_outcome.setdefault(_outcome(level, rules), []).append(level)
        for outcome, levels in by_outcome.items():
            said += f" For {listed(levels)}, {outcome}."
        notes.find(
            "T123",
            line.line,
            1,
            said,
            "Say for which level, after how long, and whom: \u201cP1: if not resolved in 1 hour,"
            " page the team lead\u201d.",
        )


def _outcome(level: str, rules: Sequence[EscalationRule]) -> str:
    """Return in words whom the other lines page for a level."""
    here = [rule for rule in rules if rule.condition is None and level in rule.severity]
    now = [rule for rule in here if rule.after_s == 0]
    at_once = _distinct(role for rule in now for role in rule.to)
    later = _distinct(role for rule in here if rule.after_s for role in rule.to)
    if not at_once and not later:
        return "no other line pages anybody"
    parts = []
    if at_once:
        only_told = all(rule.urgency is Urgency.NOTICE for rule in now)
        what = "told" if only_told else "paged"
        parts.append(f"{listed(at_once)} {_are(at_once)} {what} at once")
    parts.append(f"{listed(later)} later" if later else "nobody later")
    return f"{' and '.join(parts)}, by other lines"


def _report_levels_without_criterion(
    ladder: Ladder, scheme: Scheme, rules: Sequence[EscalationRule], notes: Notes
) -> None:
    """Report levels that no criterion speaks of and at which only the first responder is reached."""
    spoken_of = {level for line in ladder.not_carried for level in line.levels}
    for climb in ladder.climbs:
        spoken_of.update(climb.levels if climb.levels is not None else scheme.words)
    first = {role_key(role) for role in _first(ladder)}
    alone: list[str] = []
    for level in scheme.words:
        reached = {role_key(r) for rule in rules if level in rule.severity for r in rule.to}
        if level not in spoken_of and reached and reached <= first:
            alone.append(level)
    if alone:
        who = _first(ladder)
        line = ladder.climbs[0].line if ladder.climbs else ladder.rungs[0].line
        notes.find(
            "T129",
            line,
            1,
            f"No criterion speaks of {listed(alone)}: beyond {listed(who)} nobody is ever reached.",
            f"Add one: \u201c{alone[-1]}: page the team lead if not resolved in 4 hours\u201d.",
        )


def _report_repeats(rules: Sequence[EscalationRule], notes: Notes) -> None:
    """Report criteria that reach the same role for one level on the same clock at two times."""
    seen: dict[tuple[str, str, Clock], EscalationRule] = {}
    told: set[tuple[int, int]] = set()
    for rule in rules:
        if not rule.after_s or rule.condition is not None:
            continue
        for level in rule.severity:
            for role in rule.to:
                other = seen.setdefault((role_key(role), level, rule.clock), rule)
                pair = (other.source.line, rule.source.line)
                if other.after_s == rule.after_s or pair in told:
                    continue
                told.add(pair)
                notes.find(
                    "T130",
                    rule.source.line,
                    level,
                    f"For {level}, line {pair[0]} pages {role} after {say(other.after_s)}, and"
                    f" this line after {say(rule.after_s)} again. Both hold.",
                    "Take one of them out if only one is meant.",
                )


def _lines_of_path(ladder: Ladder) -> str:
    first, last = ladder.rungs[0].line, ladder.rungs[-1].line
    return f"lines {first}-{last}" if first != last else f"line {first}"


def _are(roles: Sequence[str]) -> str:
    return "is" if len(roles) == 1 else "are"


def _is(roles: Sequence[str]) -> str:
    return "it is" if len(roles) == 1 else "they are"


def _report_unreached(ladder: Ladder, rules: Sequence[EscalationRule], notes: Notes) -> None:
    # A rule on a data loss reaches nobody as long as nothing declares one.
    reached = {
        role_key(role)
        for rule in rules
        if rule.condition is not Condition.DATA_LOSS
        for role in rule.to
    }
    for rung in ladder.rungs:
        if rung.condition is None and role_key(rung.role) not in reached:
            notes.mark(rung.line, LineStatus.UNSUPPORTED, "rung that no rule reaches", again=True)
            notes.find(
                "T126",
                rung.line,
                rung.role,
                f"No rule ever reaches {rung.role}.",
                "Say for which level, and after how long.",
            )


def _report_silent_levels(
    scheme: Scheme, rules: Sequence[EscalationRule], ladder: Ladder, notes: Notes
) -> None:
    if not rules:
        return
    at_once = {level for rule in rules if rule.clock is Clock.IMMEDIATE for level in rule.severity}
    line = ladder.rungs[0].line if ladder.rungs else ladder.climbs[0].line
    for level in scheme.words:
        if level not in at_once:
            notes.find(
                "T106",
                line,
                1,
                f"Nobody is paged when {'an' if level == _EVERY else f'a {level}'} incident begins.",
                "Give the escalation path a first responder for every level.",
            )
