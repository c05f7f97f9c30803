"""What the path and the criteria mean together: rules that each cite one line.

The *path* names roles in order, each with the incidents it is for. The *criteria* say when to
climb, usually without saying to whom. ``settle`` joins them, and reports the holes.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tocsin.core.policy import Clock, Condition, EscalationRule, Level, LineStatus, Urgency
from tocsin.core.surroundings import role_key
from tocsin.runbook.levels import Scheme
from tocsin.runbook.notes import Notes
from tocsin.runbook.phrases import BREACH, DATA_LOSS, listed, roles_in, say

_LEVELS_FOR_A_NOTICE_MIN = 4


class Rung(msgspec.Struct):
    """One role of the path. ``levels`` is None where the document does not filter."""

    role: str
    levels: tuple[str, ...] | None
    line: int
    first: bool = False
    condition: Condition | None = None
    reached: bool = False


class Climb(msgspec.Struct):
    """One criterion: for these levels, after this long on that clock, to these or to the path."""

    levels: tuple[str, ...] | None
    clock: Clock
    after_s: int
    line: int
    to: tuple[str, ...] = ()
    condition: Condition | None = None
    words: str = ""


class Ladder(msgspec.Struct):
    """What was read so far, over all escalation sections of one document."""

    rungs: list[Rung] = []
    climbs: list[Climb] = []

    @property
    def is_empty(self) -> bool:
        """Say whether nothing was read."""
        return not self.rungs and not self.climbs


def settle(ladder: Ladder, scheme: Scheme, notes: Notes) -> tuple[EscalationRule, ...]:
    """Join path and criteria into rules, in the order of their lines, and report the holes."""
    rules: list[EscalationRule] = []
    for climb in ladder.climbs:
        rules.extend(_rules_of(climb, ladder, scheme, notes))
    rules.extend(_event_rules(ladder, notes))
    rules.extend(_unclimbed(ladder, scheme, notes))
    rules.extend(_first_response(ladder, scheme, rules, notes))
    _report_unreached(ladder, rules, notes)
    _report_silent_levels(scheme, rules, ladder, notes)
    return tuple(sorted(rules, key=lambda r: (r.source.line, r.urgency is Urgency.NOTICE)))


def _rules_of(climb: Climb, ladder: Ladder, scheme: Scheme, notes: Notes) -> list[EscalationRule]:
    levels = climb.levels if climb.levels is not None else scheme.words
    source = notes.source(climb.line)
    if climb.condition is not None:
        to = _known(climb.to, ladder) or _first(ladder)
        if not to:
            _report_no_target(climb, ("such an event",), notes)
            return []
        report_event("criterion", climb.condition, to, climb.words, climb.line, notes)
        return [
            EscalationRule((), Clock.EVENT, climb.after_s, to, source, condition=climb.condition)
        ]
    if climb.to:
        return (
            [EscalationRule(levels, climb.clock, climb.after_s, _known(climb.to, ladder), source)]
            if levels
            else []
        )
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
        return tuple(dict.fromkeys(rung.role for rung in admitted)), False
    beyond = tuple(dict.fromkeys(rung.role for rung in admitted if not rung.first))
    if beyond:
        return beyond, False
    return _first(ladder), True


def _first(ladder: Ladder) -> tuple[str, ...]:
    return tuple(rung.role for rung in ladder.rungs[:1])


def _known(to: tuple[str, ...], ladder: Ladder) -> tuple[str, ...]:
    """Write targets as the path writes them where both mean the same role."""
    by_key = {role_key(rung.role): rung.role for rung in ladder.rungs}
    return tuple(dict.fromkeys(by_key.get(role_key(role), role) for role in to))


def _event_rules(ladder: Ladder, notes: Notes) -> list[EscalationRule]:
    return [
        EscalationRule(
            (),
            Clock.EVENT,
            0,
            roles_in(rung.role),
            notes.source(rung.line),
            condition=rung.condition,
        )
        for rung in ladder.rungs
        if rung.condition is not None
    ]


def _unclimbed(ladder: Ladder, scheme: Scheme, notes: Notes) -> list[EscalationRule]:
    """Reach roles at once that the path filters by a level for which no criterion gives a time."""
    timed = {
        level
        for climb in ladder.climbs
        if climb.condition is None and climb.clock is not Clock.UNACKNOWLEDGED
        for level in (climb.levels if climb.levels is not None else scheme.words)
    }
    rules: list[EscalationRule] = []
    for rung in ladder.rungs:
        if rung.first or rung.condition is not None or rung.levels is None:
            continue
        levels = tuple(level for level in rung.levels if level not in timed)
        if levels:
            source = notes.source(rung.line)
            rules.append(EscalationRule(levels, Clock.IMMEDIATE, 0, (rung.role,), source))
    return rules


def _first_response(
    ladder: Ladder, scheme: Scheme, rules: Sequence[EscalationRule], notes: Notes
) -> list[EscalationRule]:
    if not ladder.rungs or ladder.rungs[0].condition is not None:
        return []
    first = ladder.rungs[0]
    admitted = first.levels if first.levels is not None else scheme.words
    covered = {
        level
        for rule in rules
        if rule.clock is Clock.IMMEDIATE and first.role in rule.to
        for level in rule.severity
    }
    open_levels = [level for level in admitted if level not in covered]
    lowest = scheme.words[-1] if len(scheme.levels) >= _LEVELS_FOR_A_NOTICE_MIN else None
    paged = tuple(level for level in open_levels if level != lowest)
    source = notes.source(first.line)
    made: list[EscalationRule] = []
    if paged:
        made.append(EscalationRule(paged, Clock.IMMEDIATE, 0, (first.role,), source))
    if lowest in open_levels:
        assert lowest is not None
        made.append(
            EscalationRule(
                (lowest,), Clock.IMMEDIATE, 0, (first.role,), source, urgency=Urgency.NOTICE
            )
        )
    return made


def _report_target(
    climb: Climb,
    levels: Sequence[str],
    to: tuple[str, ...],
    nobody_new: bool,
    ladder: Ladder,
    notes: Notes,
) -> None:
    lines = f"lines {ladder.rungs[0].line}-{ladder.rungs[-1].line}"
    words = "escalate" if "escalate" in climb.words.casefold() else climb.words
    if nobody_new:
        notes.find(
            "T122",
            climb.line,
            words,
            f"This names no target, and {listed(levels)} has no rung in {lines} beyond"
            f" {to[0]}: after {say(climb.after_s)} it pages nobody new.",
            f"Name a target here, or let a higher rung of the path include {listed(levels)}."
            f" Until then {to[0]} is paged again.",
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
    who, are = listed(to), "is" if len(to) == 1 else "are"
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
        f"For {listed(levels)} this names no target, and no escalation path does.",
        "Name a role: \u201c\u2026 page the team lead\u201d.",
    )


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
                f"Nobody is paged when a {level} incident begins.",
                "Give the escalation path a first responder for every level.",
            )
