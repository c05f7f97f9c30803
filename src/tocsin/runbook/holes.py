"""What a ladder leaves open, said as findings: nobody named, nobody new, no time, no criterion."""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.core.policy import Clock, Condition, EscalationRule, Level, LineStatus, Urgency
from tocsin.core.surroundings import role_key
from tocsin.runbook.ladder import EVERY, Climb, Ladder, distinct, first_of, known
from tocsin.runbook.levels import Scheme
from tocsin.runbook.notes import Notes
from tocsin.runbook.phrases import BREACH, DATA_LOSS, listed, say, short


def report_target(
    climb: Climb,
    levels: Sequence[str],
    to: tuple[str, ...],
    nobody_new: bool,
    ladder: Ladder,
    notes: Notes,
) -> None:
    """Say whom the path offers for a criterion that names nobody, or that it offers nobody new."""
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
            f" Until then {listed(to)} {are(to)} paged again.",
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
    who, verb = listed(to), are(to)
    if condition is Condition.DATA_LOSS:
        rule = f"{what} on a data loss, which nobody can declare yet"
        notes.mark(line, LineStatus.UNSUPPORTED, rule, again=True)
        notes.find(
            "T120",
            line,
            words,
            f"Nobody can declare a data loss yet: {who} {verb} never reached by this line.",
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
        f"\u201c{words}\u201d is a condition on the event, not a severity: {who} {verb} reached"
        " when a person, or a signal's label, says so.",
        "Nothing to do if that is meant; name a level if not.",
    )


def report_no_target(climb: Climb, levels: Sequence[str], notes: Notes) -> None:
    """Report a criterion that reaches nobody."""
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


def report_untimed(climb: Climb, levels: Sequence[str], to: tuple[str, ...], notes: Notes) -> None:
    """Report a criterion that is read as at once for want of a time."""
    notes.find(
        "T128",
        climb.line,
        climb.words,
        f"\u201c{short(climb.words)}\u201d gives no time: {listed(to)} {are(to)} paged at once for"
        f" {listed(levels)}.",
        "Say after how long: \u201c\u2026 if not acknowledged in 15 min\u201d, or"
        " \u201cimmediately\u201d if that is meant.",
    )


def report_not_carried(ladder: Ladder, rules: Sequence[EscalationRule], notes: Notes) -> None:
    """Say of a line that no timer can carry what happens instead, level by level."""
    for line in ladder.not_carried:
        said = f"\u201c{short(line.words)}\u201d is no rule that can be timed."
        to = known(line.to, ladder)
        if to:
            said += f" {listed(to)} {are(to)} not paged by it."
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
    at_once = distinct(role for rule in now for role in rule.to)
    later = distinct(role for rule in here if rule.after_s for role in rule.to)
    if not at_once and not later:
        return "no other line pages anybody"
    parts = []
    if at_once:
        only_told = all(rule.urgency is Urgency.NOTICE for rule in now)
        what = "told" if only_told else "paged"
        parts.append(f"{listed(at_once)} {are(at_once)} {what} at once")
    parts.append(f"{listed(later)} later" if later else "nobody later")
    return f"{' and '.join(parts)}, by other lines"


def report_levels_without_criterion(
    ladder: Ladder, scheme: Scheme, rules: Sequence[EscalationRule], notes: Notes
) -> None:
    """Report levels that no criterion speaks of and at which only the first responder is reached."""
    spoken_of = {level for line in ladder.not_carried for level in line.levels}
    for climb in ladder.climbs:
        spoken_of.update(climb.levels if climb.levels is not None else scheme.words)
    first = {role_key(role) for role in first_of(ladder)}
    alone: list[str] = []
    for level in scheme.words:
        reached = {role_key(r) for rule in rules if level in rule.severity for r in rule.to}
        if level not in spoken_of and reached and reached <= first:
            alone.append(level)
    if alone:
        who = first_of(ladder)
        line = ladder.climbs[0].line if ladder.climbs else ladder.rungs[0].line
        notes.find(
            "T129",
            line,
            1,
            f"No criterion speaks of {listed(alone)}: beyond {listed(who)} nobody is ever reached.",
            f"Add one: \u201c{alone[-1]}: page the team lead if not resolved in 4 hours\u201d.",
        )


def report_repeats(rules: Sequence[EscalationRule], notes: Notes) -> None:
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


def are(roles: Sequence[str]) -> str:
    """Return "is" for one role, "are" for several."""
    return "is" if len(roles) == 1 else "are"


def it_is(roles: Sequence[str]) -> str:
    """Return "it is" for one role, "they are" for several."""
    return "it is" if len(roles) == 1 else "they are"


def report_unreached(ladder: Ladder, rules: Sequence[EscalationRule], notes: Notes) -> None:
    """Report the roles of the path that no rule reaches."""
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


def report_silent_levels(
    scheme: Scheme, rules: Sequence[EscalationRule], ladder: Ladder, notes: Notes
) -> None:
    """Report the levels at which nobody is paged when an incident begins."""
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
                f"Nobody is paged when {'an' if level == EVERY else f'a {level}'} incident begins.",
                "Give the escalation path a first responder for every level.",
            )
