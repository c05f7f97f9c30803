"""Reads the escalation sections of a document: the path, and the criteria for climbing it.

Lists, tables and prose all end as rungs and climbs of one ladder.
"""

from __future__ import annotations

import re

from tocsin.base.durations import find_duration
from tocsin.core.policy import LineStatus
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
from tocsin.runbook.ladder import Climb, Ladder, Rung, report_event
from tocsin.runbook.levels import Named, Scheme
from tocsin.runbook.notes import Notes
from tocsin.runbook.phrases import (
    ABOUT_PATH,
    ARROWS,
    BLANK,
    FIRST,
    IMMEDIATE,
    METRIC,
    ROLE_WORD,
    TARGET,
    UNACKNOWLEDGED,
    UNRESOLVED,
    clock_of,
    condition_of,
    delay_of,
    listed,
    roles_in,
    short,
    targets_in,
)

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


def read_escalation(section: Section, scheme: Scheme, ladder: Ladder, notes: Notes) -> None:
    """Add to ``ladder`` what a section and those below it say."""
    for inner in section.walk():
        for group in inner.groups():
            about = f"{inner.title.plain} {group.label}"
            is_path = ABOUT_PATH.search(about) is not None
            for block in group.blocks:
                _Reader(scheme, ladder, notes, is_path).block(block)


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
        if len(ARROWS.split(text.plain)) >= 3:
            for role in ARROWS.split(text.plain):
                if role.strip():
                    self._add_rung(role.strip(), "", text.line)
            self._notes.mark_block(block, LineStatus.AUTOMATED, "escalation path")
            return
        for sentence in re.split(r"(?<=[.;])\s+", text.plain):
            if self._says_to_climb(sentence):
                self._climb(sentence, text.line, "")
        if text.lead and ROLE_WORD.search(text.lead) and text.rest:
            self._rung(text, in_path=True)

    def _says_to_climb(self, sentence: str) -> bool:
        clock = UNACKNOWLEDGED.search(sentence) or UNRESOLVED.search(sentence)
        timed = find_duration(sentence) is not None or IMMEDIATE.search(sentence) is not None
        return (
            timed
            and TARGET.search(sentence) is not None
            and (clock is not None or self._scheme.named_in(sentence) is not None)
        )

    def _climb(self, words: str, line: int, lead: str) -> bool:
        named = self._scheme.named_in(words)
        starts_with_level = bool(lead) and self._scheme.named_in(lead) is not None
        timed = delay_of(words)
        if timed is None:
            if starts_with_level and not ROLE_WORD.search(words):
                self._unsupported_climb(words, line)
                return True
            return False
        if timed and not starts_with_level and not self._clock_words(words) and named is None:
            if METRIC.search(words):
                self._measurement(words, line)
                return True
            if not lead:
                return False
        self._undeclared(named, line)
        self._short_form(named, line)
        targets = targets_in(words)
        if not targets and lead and not starts_with_level and ROLE_WORD.search(lead):
            targets = (lead,)
        self._ladder.climbs.append(
            Climb(
                levels=named.levels if named else None,
                clock=clock_of(words, timed),
                after_s=timed,
                line=line,
                to=targets,
                condition=condition_of(words) if named is None else None,
                words=words,
            )
        )
        self._notes.mark(line, LineStatus.AUTOMATED, "escalation criterion")
        return True

    def _clock_words(self, words: str) -> bool:
        return bool(
            UNACKNOWLEDGED.search(words)
            or UNRESOLVED.search(words)
            or IMMEDIATE.search(words)
            or TARGET.search(words)
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
        if not ROLE_WORD.search(role) and not (in_path and self._is_rung(role, rest)):
            return False
        self._add_rung(role, rest, text.line)
        return True

    def _is_rung(self, role: str, rest: str) -> bool:
        says_for_whom = FIRST.search(rest) or self._scheme.named_in(rest) or condition_of(rest)
        return bool(says_for_whom or BLANK.match(role))

    def _add_rung(self, role: str, rest: str, line: int) -> None:
        named = self._scheme.named_in(rest) if rest else None
        condition = condition_of(rest) if named is None else None
        self._undeclared(named, line)
        self._short_form(named, line)
        if BLANK.match(role):
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
            report_event("rung", condition, roles_in(role), rest, line, self._notes)
        else:
            self._notes.mark(line, LineStatus.AUTOMATED, "rung of the escalation path")

    def _table(self, table: Table) -> None:
        header = [cell.plain for cell in table.header]
        timed = {i: d for i, h in enumerate(header) if (d := delay_of(h)) is not None}
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
            if not who or BLANK.match(who):
                continue
            clock = clock_of(header[i], after_s)
            levels = named.levels if named else None
            self._ladder.climbs.append(
                Climb(levels, clock, after_s, line, roles_in(who), None, who)
            )
            read = True
        if read:
            self._undeclared(named, line)
            self._notes.mark(line, LineStatus.AUTOMATED, "escalation criterion")
        return read

    def _cells(self, cells: list[str], columns: dict[str, list[int]], line: int) -> bool:
        row = " ".join(c for c in cells if c)
        named = self._first_named(cells, columns["severity"]) or self._scheme.named_in(row)
        roles = [cells[i] for i in columns["role"] if ROLE_WORD.search(cells[i])]
        who = roles[0] if roles else ""
        when = " ".join(cells[i] for i in columns["when"] if cells[i])
        timed = delay_of(when) if when else delay_of(row)
        if timed is None:
            if who and len(who.split()) <= 6:
                self._add_rung(who, when or row.replace(who, ""), line)
                return True
            return False
        targets = roles_in(who) if who else targets_in(when) or targets_in(row)
        if not targets:
            # Under "Escalate to" any few words are somebody: "All hands".
            said = [cells[i] for i in columns["role"] if i not in columns["when"] and cells[i]]
            if said and len(said[0].split()) <= 4 and not BLANK.match(said[0]):
                targets = (said[0],)
        self._undeclared(named, line)
        condition = condition_of(when) if named is None else None
        levels = named.levels if named else None
        clock = clock_of(when or row, timed)
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
                f"{named.short_form} is read as {listed(named.levels)}.",
                f"Write {'/'.join(named.levels)} to be explicit.",
            )

    def _not_understood(self, words: str, line: int) -> None:
        self._notes.find(
            "T123",
            line,
            1,
            f"\u201c{short(words)}\u201d is no rule that can be timed.",
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
            f"\u201c{short(words)}\u201d waits for a measurement, not for a clock.",
            "Alert on the measurement and let the alert open the incident.",
        )
