"""Who is reached, when: the escalation path, its criteria, and what the two mean together.

The *path* names roles in order, each with the incidents it is for. The *criteria* say when to
climb, usually without saying to whom. ``settle`` joins them into rules that each cite one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import timedelta

import msgspec

from tocsin.base.durations import find_duration, say_duration
from tocsin.core.policy import Clock, Condition, EscalationRule, Level, LineStatus, Urgency
from tocsin.core.surroundings import role_key
from tocsin.runbook.document import (
    Block,
    Fence,
    Inline,
    Listing,
    Paragraph,
    Section,
    Table,
    rows_of,
)
from tocsin.runbook.findings import did_you_mean
from tocsin.runbook.levels import Named, Scheme
from tocsin.runbook.notes import Notes

_LEVELS_FOR_A_NOTICE_MIN = 4
_IMMEDIATE = re.compile(
    r"\bimmediate(?:ly)?\b|\bat once\b|\b(?:right|straight) ?away\b|\binstantly\b|\bwithout delay\b",
    re.IGNORECASE,
)
_UNACKNOWLEDGED = re.compile(
    r"\b(?:no|not|without|un|nobody|isn't|hasn't|doesn't|never)[\s-]*(?:(?:been|has|get|yet|an?|does)\s+)?"
    r"(?:ack\w*|respon\w+|answer\w*|repl\w+|pick\w* up)|\bunack\w*",
    re.IGNORECASE,
)
_UNRESOLVED = re.compile(
    r"\b(?:not|un|isn't|still not|no|never|without)[\s-]*(?:(?:been|yet|a|any|has)\s+)?"
    r"(?:resol\w+|fix\w*|mitigat\w+|contain\w+|progress\w*|clos\w+|over\b|done\b|solv\w+)"
    r"|\bpersist\w*|\bstill (?:open|ongoing|going|there|unfixed|broken|burning)\b|\bunresolved\b"
    r"|\b(?:open|lasting|going on) (?:for|longer|more)\b|\blast(?:s|ing)? (?:longer|more)\b",
    re.IGNORECASE,
)
_BREACH = re.compile(
    r"(?:critical\s+|suspected\s+|confirmed\s+)?(?:security|data)\s+(?:breach|incident|compromise)\w*"
    r"|\bbreach(?:es|ed)?\b|\bbreak-ins?\b|\bintru(?:der|sion)s?\b|compromised",
    re.IGNORECASE,
)
_DATA_LOSS = re.compile(r"data (?:loss|corruption)|lost data|loss of data", re.IGNORECASE)
_METRIC = re.compile(
    r"%|[<>]|\b(?:rate|latency|cpu|memory|throughput|slo|sli|p9\d|threshold|queue)\b", re.IGNORECASE
)
_FIRST = re.compile(
    r"\binitial\b|\bfirst\b|\bprimary\b|\btriage|every incident|all incidents|any incident",
    re.IGNORECASE,
)
_ROLE_WORD = re.compile(
    r"engineer|\bleads?\b|leader|manager|director|officer|\bc[teis]o\b|\bvp\b|\bhead\b|on[- ]?call"
    r"|primary|secondary|backup|commander|\bteams?\b|support|\bsre\b|\bdbas?\b|legal|security"
    r"|vendor|owner|coordinator|chief|admin|\bops\b|devops|executive|founder|responder|^@|\bl\d\b"
    r"|\btier \d|architect|president|developer|duty|shift|leadership",
    re.IGNORECASE,
)
_BLANK = re.compile(
    r"^\W*(?:tbd|tba|todo|n/?a|xxx+|name|contact info)?\W*$|^\[.*\]$|^<.*>$", re.IGNORECASE
)
_TARGET = re.compile(
    r"(?<![\w-])(?:escalat\w+|page|notify|call|contact|inform|alert|involve|wake|loop in|bring in|engage|reach)"
    r"s?\s+(?:it\s+|this\s+)?(?:up\s+)?(?:to\s+)?(?:the\s+|your\s+|an?\s+|our\s+)?"
    r"(?!if\b|immediately|after\b|when\b|within\b|at\b|in\b|as\b|and\b|by\b|unless\b|once\b|to\b|up\b"
    r"|for\b|every|straight|right|now\b)"
    r"(?P<who>[@#A-Za-z][\w@#/&+' ,.-]*?)"
    r"(?=\s*(?:$|[;:.(]|,?\s(?:if|after|when|within|immediately|for|unless|once|at once|in \d|as soon"
    r"|by phone|via|straight|right away)\b))",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"^(?P<who>[\w@#/&+' -]{2,50}?)\s+(?:\(.*?\)\s*)?(?:is\s+|are\s+|gets?\s+)?"
    r"(?:acknowledges?|responds?|paged|alerted|notified|called|engaged|joins?|takes over)\b",
    re.IGNORECASE,
)
_ARROW_TARGET = re.compile(r"(?:\u2192|->|=>)\s*(?P<who>[^\u2192]+?)\s*$")
_ARROWS = re.compile(r"\s*(?:\u2192|->|=>|\u2193)\s*")
_SPLIT_ROLES = re.compile(r"\s*(?:,|\+|&|\band\b|/(?=\s*[A-Z@]))\s*")
_RANGE_LOW = re.compile(r"(\d+)\s*(?:-|\u2013|to)\s*\d+\s*(?=[a-z])", re.IGNORECASE)
_ABOUT_PATH = re.compile(r"path|ladder|chain|contact|order|rung|tree|matrix|who\b", re.IGNORECASE)
_COLUMN = {
    "severity": re.compile(r"severity|priority|\bsev\b|incident level|^level$", re.IGNORECASE),
    "role": re.compile(
        r"role|who\b|contact|escalat\w* to|person|owner|notify|responsible|escalation$|target|team",
        re.IGNORECASE,
    ),
    "when": re.compile(
        r"time|after|when|trigger|condition|criteria|response|if\b|action", re.IGNORECASE
    ),
}


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


def read_escalation(section: Section, scheme: Scheme, ladder: Ladder, notes: Notes) -> None:
    """Add to ``ladder`` what a section and those below it say."""
    for inner in section.walk():
        for group in inner.groups():
            about = f"{inner.title.plain} {group.label}"
            is_path = _ABOUT_PATH.search(about) is not None
            for block in group.blocks:
                _Reader(scheme, ladder, notes, is_path).block(block)


def read_escalation_items(
    blocks: Iterable[Block], scheme: Scheme, ladder: Ladder, notes: Notes
) -> None:
    """Add what list items outside an escalation section say, where they clearly escalate."""
    reader = _Reader(scheme, ladder, notes, is_path=False)
    for block in blocks:
        reader.block(block)


class _Reader:
    """Reads the blocks of one group."""

    def __init__(self, scheme: Scheme, ladder: Ladder, notes: Notes, is_path: bool) -> None:
        self._scheme = scheme
        self._ladder = ladder
        self._notes = notes
        self._is_path = is_path

    def block(self, block: Block) -> None:
        if isinstance(block, Listing):
            for item, depth in rows_of((block,)):
                self._item(item.text, in_path=self._is_path and depth == 0)
        elif isinstance(block, Table):
            self._table(block)
        elif isinstance(block, Paragraph):
            self._paragraph(block)
        elif isinstance(block, Fence):
            self._notes.mark_block(block, LineStatus.REFERENCE, "drawing of the escalation")

    def _item(self, text: Inline, *, in_path: bool) -> None:
        if self._climb(text.plain, text.line, text.before_colon) or self._rung(text, in_path):
            return
        self._notes.mark(
            text.line, LineStatus.UNSUPPORTED, "escalation rule not understood", end=text.end
        )
        self._not_understood(text.plain, text.line)

    def _paragraph(self, block: Paragraph) -> None:
        text = block.text
        if len(_ARROWS.split(text.plain)) >= 3:
            for role in _ARROWS.split(text.plain):
                if role.strip():
                    self._add_rung(role.strip(), "", text.line)
            self._notes.mark_block(block, LineStatus.AUTOMATED, "escalation path")
            return
        for sentence in re.split(r"(?<=[.;])\s+", text.plain):
            if self._says_to_climb(sentence):
                self._climb(sentence, text.line, "")
        if text.lead and _ROLE_WORD.search(text.lead) and text.rest:
            self._rung(text, in_path=True)

    def _says_to_climb(self, sentence: str) -> bool:
        clock = _UNACKNOWLEDGED.search(sentence) or _UNRESOLVED.search(sentence)
        timed = find_duration(sentence) is not None or _IMMEDIATE.search(sentence) is not None
        return (
            timed
            and _TARGET.search(sentence) is not None
            and (clock is not None or self._scheme.named_in(sentence) is not None)
        )

    def _climb(self, words: str, line: int, lead: str) -> bool:
        named = self._scheme.named_in(words)
        starts_with_level = bool(lead) and self._scheme.named_in(lead) is not None
        timed = _delay_of(words)
        if timed is None:
            if starts_with_level and not _ROLE_WORD.search(words):
                self._unsupported_climb(words, line)
                return True
            return False
        if timed and not starts_with_level and not self._clock_words(words) and named is None:
            if _METRIC.search(words):
                self._measurement(words, line)
                return True
            if not lead:
                return False
        self._undeclared(named, line)
        self._short_form(named, line)
        targets = _targets(words)
        if not targets and lead and not starts_with_level and _ROLE_WORD.search(lead):
            targets = (lead,)
        self._ladder.climbs.append(
            Climb(
                levels=named.levels if named else None,
                clock=_clock_of(words, timed),
                after_s=timed,
                line=line,
                to=targets,
                condition=_condition_of(words) if named is None else None,
                words=words,
            )
        )
        self._notes.mark(line, LineStatus.AUTOMATED, "escalation criterion")
        return True

    def _clock_words(self, words: str) -> bool:
        return bool(
            _UNACKNOWLEDGED.search(words)
            or _UNRESOLVED.search(words)
            or _IMMEDIATE.search(words)
            or _TARGET.search(words)
        )

    def _rung(self, text: Inline, in_path: bool) -> bool:
        role = text.before_colon or (text.plain if in_path else "")
        dash = re.match(r"^(.{2,40}?)\s+[\u2013\u2014-]\s+(.+)$", text.plain)
        parenthesis = re.match(r"^([^()]{2,40}?)\s*\(([^()]+)\)\s*$", text.plain)
        rest = text.after_colon if text.before_colon else ""
        if not text.before_colon and (found := dash or parenthesis):
            role, rest = found[1], found[2]
        if not role or len(role.split()) > 6:
            return False
        if not _ROLE_WORD.search(role) and not (in_path and self._is_rung(role, rest)):
            return False
        self._add_rung(role, rest, text.line)
        return True

    def _is_rung(self, role: str, rest: str) -> bool:
        says_for_whom = _FIRST.search(rest) or self._scheme.named_in(rest) or _condition_of(rest)
        return bool(says_for_whom or _BLANK.match(role))

    def _add_rung(self, role: str, rest: str, line: int) -> None:
        named = self._scheme.named_in(rest) if rest else None
        condition = _condition_of(rest) if named is None else None
        self._undeclared(named, line)
        self._short_form(named, line)
        if _BLANK.match(role):
            self._notes.find(
                "T124", line, role, f"\u201c{role}\u201d names nobody.", "Write the role down."
            )
        rung = Rung(
            role=role,
            levels=named.levels if named else None,
            line=line,
            first=not self._ladder.rungs,
            condition=condition,
        )
        self._ladder.rungs.append(rung)
        if condition is not None:
            _report_event("rung", condition, _roles(role), rest, line, self._notes)
        else:
            self._notes.mark(line, LineStatus.AUTOMATED, "rung of the escalation path")

    def _table(self, table: Table) -> None:
        header = [cell.plain for cell in table.header]
        timed = {i: d for i, h in enumerate(header) if (d := _delay_of(h)) is not None}
        columns = {
            name: [i for i, h in enumerate(header) if i not in timed and pattern.search(h)]
            for name, pattern in _COLUMN.items()
        }
        understood = False
        for row in table.rows:
            cells = [cell.plain for cell in row.cells] + [""] * len(header)
            if timed:
                read = self._timed_cells(cells, header, timed, columns, row.line)
            else:
                read = self._cells(cells, columns, row.line)
            understood = understood or read
            if not read:
                self._notes.mark(row.line, LineStatus.UNSUPPORTED, "escalation rule not understood")
                self._not_understood(" | ".join(c for c in cells if c), row.line)
        if understood:
            self._notes.mark(table.line, LineStatus.REFERENCE, "table header", end=table.line + 1)

    def _timed_cells(
        self,
        cells: list[str],
        header: list[str],
        timed: dict[int, int],
        columns: dict[str, list[int]],
        line: int,
    ) -> bool:
        named = self._first_named(cells, columns["severity"] or [0])
        read = False
        for i, after_s in timed.items():
            who = cells[i]
            if not who or _BLANK.match(who):
                continue
            clock = _clock_of(header[i], after_s)
            levels = named.levels if named else None
            self._ladder.climbs.append(Climb(levels, clock, after_s, line, _roles(who), None, who))
            read = True
        if read:
            self._undeclared(named, line)
            self._notes.mark(line, LineStatus.AUTOMATED, "escalation criterion")
        return read

    def _cells(self, cells: list[str], columns: dict[str, list[int]], line: int) -> bool:
        row = " ".join(c for c in cells if c)
        named = self._first_named(cells, columns["severity"]) or self._scheme.named_in(row)
        roles = [cells[i] for i in columns["role"] if _ROLE_WORD.search(cells[i])]
        who = roles[0] if roles else ""
        when = " ".join(cells[i] for i in columns["when"] if cells[i])
        timed = _delay_of(when) if when else _delay_of(row)
        if timed is None:
            if who and len(who.split()) <= 6:
                self._add_rung(who, when or row.replace(who, ""), line)
                return True
            return False
        targets = _roles(who) if who else _targets(when) or _targets(row)
        if not targets:
            # Under "Escalate to" any few words are somebody: "All hands".
            said = [cells[i] for i in columns["role"] if i not in columns["when"] and cells[i]]
            if said and len(said[0].split()) <= 4 and not _BLANK.match(said[0]):
                targets = (said[0],)
        self._undeclared(named, line)
        condition = _condition_of(when) if named is None else None
        levels = named.levels if named else None
        clock = _clock_of(when or row, timed)
        self._ladder.climbs.append(Climb(levels, clock, timed, line, targets, condition, row))
        self._notes.mark(line, LineStatus.AUTOMATED, "escalation criterion")
        return True

    def _first_named(self, cells: list[str], columns: list[int]) -> Named | None:
        return next((n for i in columns if (n := self._scheme.named_in(cells[i]))), None)

    def _undeclared(self, named: Named | None, line: int) -> None:
        if named is None:
            return
        for word in named.undeclared:
            self._notes.find(
                "T102",
                line,
                word,
                f"{word} is not a declared severity level.",
                f"Declare it, or use one of {', '.join(self._scheme.words)}."
                f" {did_you_mean(word, self._scheme.words)}".strip(),
            )

    def _short_form(self, named: Named | None, line: int) -> None:
        if named is not None and named.short_form:
            self._notes.find(
                "T118",
                line,
                named.short_form,
                f"{named.short_form} is read as {_listed(named.levels)}.",
                f"Write {'/'.join(named.levels)} to be explicit.",
            )

    def _not_understood(self, words: str, line: int) -> None:
        self._notes.find(
            "T123",
            line,
            1,
            f"\u201c{_short(words)}\u201d is no rule that can be timed.",
            "Say for which level, after how long, and whom: \u201cP1: if not resolved in 1 hour,"
            " page the team lead\u201d.",
        )

    def _unsupported_climb(self, words: str, line: int) -> None:
        self._notes.mark(line, LineStatus.UNSUPPORTED, "escalation criterion without a time")
        self._not_understood(words, line)

    def _measurement(self, words: str, line: int) -> None:
        self._notes.mark(line, LineStatus.HUMAN, "escalation on a measurement: a person judges")
        self._notes.find(
            "T125",
            line,
            1,
            f"\u201c{_short(words)}\u201d waits for a measurement, not for a clock.",
            "Alert on the measurement and let the alert open the incident.",
        )


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
        _report_event("criterion", climb.condition, to, climb.words, climb.line, notes)
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
            (), Clock.EVENT, 0, _roles(rung.role), notes.source(rung.line), condition=rung.condition
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
            f"This names no target, and {_listed(levels)} has no rung in {lines} beyond"
            f" {to[0]}: after {_say(climb.after_s)} it pages nobody new.",
            f"Name a target here, or let a higher rung of the path include {_listed(levels)}."
            f" Until then {to[0]} is paged again.",
        )
        return
    notes.find(
        "T121",
        climb.line,
        words,
        f"This names no target; {_listed(levels)} is read as {_listed(to)}, from {lines}.",
        "Name the role here to be explicit.",
    )


def _report_event(
    what: str, condition: Condition, to: tuple[str, ...], said: str, line: int, notes: Notes
) -> None:
    """Account for a line that waits for an event, and say who can bring it about."""
    found = _BREACH.search(said) or _DATA_LOSS.search(said)
    words = found[0] if found else said
    who, are = _listed(to), "is" if len(to) == 1 else "are"
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
        f"For {_listed(levels)} this names no target, and no escalation path does.",
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


def _delay_of(words: str) -> int | None:
    """Return the seconds that some words name, the sooner end of a range; 0 for "immediately"."""
    found = find_duration(_RANGE_LOW.sub(r"\1 ", words))
    if found is not None:
        return round(found[0].total_seconds())
    return 0 if _IMMEDIATE.search(words) else None


def _clock_of(words: str, after_s: int) -> Clock:
    if after_s == 0:
        return Clock.IMMEDIATE
    if _UNACKNOWLEDGED.search(words) and not _UNRESOLVED.search(words):
        return Clock.UNACKNOWLEDGED
    return Clock.UNRESOLVED


def _condition_of(words: str) -> Condition | None:
    if _BREACH.search(words):
        return Condition.SECURITY_BREACH
    if _DATA_LOSS.search(words):
        return Condition.DATA_LOSS
    return None


def _targets(words: str) -> tuple[str, ...]:
    found = _ARROW_TARGET.search(words) or _TARGET.search(words)
    if found is None:
        found = _SUBJECT.search(words)
        if found is None or not _ROLE_WORD.search(found["who"]):
            return ()
    return _roles(found["who"])


def _roles(words: str) -> tuple[str, ...]:
    pieces = (re.sub(r"^(?:the|an?|your|our)\s+", "", p.strip()) for p in _SPLIT_ROLES.split(words))
    return tuple(piece.strip(" .") for piece in pieces if piece.strip(" ."))


def _listed(words: Sequence[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _short(words: str) -> str:
    return words if len(words) <= 60 else words[:57].rstrip() + "\u2026"


def _say(seconds: int) -> str:
    return say_duration(timedelta(seconds=seconds))
