"""Reads the escalation sections of a document: the path, and the criteria for climbing it.

Lists, tables and prose all end as rungs and climbs of one ladder.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tocsin.core.policy import Clock, Condition, LineStatus
from tocsin.runbook.document import (
    Block,
    Fence,
    Inline,
    Item,
    Listing,
    Paragraph,
    Section,
    Table,
)
from tocsin.runbook.findings import did_you_mean
from tocsin.runbook.ladder import Climb, Ladder, NotCarried, Rung, report_event
from tocsin.runbook.levels import Named, Scheme, declared_in
from tocsin.runbook.notes import Notes
from tocsin.runbook.phrases import (
    ABOUT_PATH,
    ARROWS,
    BREACH,
    FIRST,
    IMMEDIATE,
    METRIC,
    clauses_of,
    clear,
    clock_of,
    condition_of,
    delay_of,
    has_clock,
    is_plain_order,
    listed,
    moments_of,
    say,
    short,
)
from tocsin.runbook.roles import BLANK, ROLE_WORD, TARGET, VERB, roles_in, targets_in

_THE_REST = re.compile(r"\b(?:others?|(?:the|all) rest|everything else|remaining)\b", re.IGNORECASE)
_JOINS = re.compile(r"^\s*(?:,|\+|&|/|\band\b|\bor\b)")
_WHOLE_LEAD = re.compile(
    r"^(.{2,80}?)(?:\s*:\s*|\s+[\u2013\u2014-]\s+|\s*(?=\()|\s+(?=for\s))(.+)$"
)
_FOREIGN_LEVEL = re.compile(r"(?<![\w.])(?:P|SEV-?|Sev\s|Severity\s|Priority\s)\d(?![\w.])")
_NEVER = re.compile(
    r"^\W*(?:no|never|none|n/?a|not (?:paged|notified|applicable))?\W*$", re.IGNORECASE
)
_TICKED = re.compile(
    r"^\W*(?:x|yes|y|[\u2713\u2714\u2705\u2611]\ufe0f?|page[ds]?|notif\w+|always)\W*$",
    re.IGNORECASE,
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
    _read_section(section, _Reader(scheme, ladder, notes), None)


def _read_section(section: Section, reader: _Reader, around: Named | None) -> None:
    here = reader.levels_of_heading(section.title.plain) or around
    for group in section.groups():
        is_path = ABOUT_PATH.search(f"{section.title.plain} {group.label}") is not None
        about = reader.levels_of_heading(group.label) or here
        for block in group.blocks:
            reader.block(block, about, is_path)
    for inner in section.sections:
        _read_section(inner, reader, here)


class _Reader:
    """Reads the blocks of one document's escalation sections.

    ``about`` is what the heading, or the item around, says: the levels that hold where the words
    name none themselves.
    """

    def __init__(self, scheme: Scheme, ladder: Ladder, notes: Notes) -> None:
        self._scheme = scheme
        self._ladder = ladder
        self._notes = notes

    def levels_of_heading(self, words: str) -> Named | None:
        """Return the levels that a heading is about: "P1", "Path for P0/P1"."""
        if not re.search(r"\d", words) and declared_in(words) is None:
            return None
        named = self._scheme.named_in(words)
        return named if named is not None and named.levels and not named.is_all else None

    def block(self, block: Block, about: Named | None, is_path: bool) -> None:
        if isinstance(block, Listing):
            for item in block.items:
                self._item(item, about, is_path)
        elif isinstance(block, Table):
            self._table(block, about)
        elif isinstance(block, Paragraph):
            self._paragraph(block, about, is_path)
        elif isinstance(block, Fence):
            self._fence(block)

    def _item(self, item: Item, about: Named | None, in_path: bool) -> None:
        text = item.text
        rungs = len(self._ladder.rungs)
        label = self._level_alone(text.plain) if item.blocks else None
        if label is not None:
            self._undeclared(label, text.line)
            self._notes.mark_item(item, LineStatus.REFERENCE, "level of the lines below")
            about = label
        elif text.plain:
            self._line(text, about, in_path)
        own = self._ladder.rungs[rungs:]
        for block in item.blocks:
            if isinstance(block, Listing):
                for inner in block.items:
                    self._nested(inner, about, own, in_path and label is not None)
            elif isinstance(block, Table):
                self._table(block, about)

    def _nested(
        self, item: Item, about: Named | None, above: Sequence[Rung], in_path: bool
    ) -> None:
        """Read an item below another: below a role of the path, a time is that role's."""
        climbs = len(self._ladder.climbs)
        self._item(item, about, in_path)
        made = self._ladder.climbs[climbs:]
        if not above or any(climb.to for climb in made):
            return
        for climb in made:
            climb.to = tuple(rung.role for rung in above)
            climb.levels = above[0].levels if climb.levels is None else climb.levels

    def _level_alone(self, words: str) -> Named | None:
        bare = re.sub(r"\b(?:incidents?|severity|level)\b|[:*()]", " ", words).strip()
        named = self._named(bare)
        return named if named is not None and len(bare.split()) <= 3 else None

    def _line(self, text: Inline, about: Named | None, in_path: bool) -> None:
        if self._arrows(text.plain, text.line, about):
            return
        if self._climb(text, about, in_path) or self._rung(text, about, in_path):
            return
        self._not_carried(text.plain, text.line, about, end=text.end)

    def _paragraph(self, block: Paragraph, about: Named | None, is_path: bool) -> None:
        text = block.text
        if self._arrows(text.plain, text.line, about):
            self._notes.mark_block(block, LineStatus.AUTOMATED, "escalation path")
            return
        if self._is_unmarked_list(text):
            for line in _lines_of(text):
                self._line(line, about, is_path)
            return
        for sentence in re.split(r"(?<=[.;])\s+", text.plain):
            self._sentence(sentence, text.line, about)
        if text.lead and ROLE_WORD.search(text.lead) and text.rest:
            self._rung(text, about, in_path=True)

    def _is_unmarked_list(self, text: Inline) -> bool:
        """Say whether every line begins with a level or a role, as list items without bullets do."""
        lines = _lines_of(text)
        return all(
            (lead := line.before_colon)
            and len(lead.split()) <= 6
            and (self._named(lead) is not None or ROLE_WORD.search(lead) is not None)
            for line in lines
        ) and (len(lines) > 1 or self._named(lines[0].before_colon) is not None)

    def _sentence(self, words: str, line: int, about: Named | None) -> None:
        if not VERB.search(words):
            return
        named = self._scheme.named_in(words) or about
        target = TARGET.search(words) is not None
        timed = delay_of(words) is not None
        if timed and (target or named) and (has_clock(words) or named):
            self._criterion(words, words, line, named, ())
        elif (target and has_clock(words)) or (named and VERB.match(words)):
            self._not_carried(words, line, about)

    def _arrows(self, words: str, line: int, about: Named | None) -> bool:
        """Read ``On-call -> Team lead (30 min) -> Manager``, with or without a level before it."""
        lead = re.match(r"^([^:\u2192>]{1,20}):\s*(.+)$", words)
        named = self._named(lead[1]) if lead else None
        body = lead[2] if lead and named else words
        pieces = [piece for piece in ARROWS.split(clear(body)) if piece.strip()]
        if len(pieces) < 3:
            return False
        self._undeclared(named, line)
        named = named or about
        waiting: int | None = None
        for piece in pieces:
            after_s = delay_of(piece)
            time = next((m for m in moments_of(piece)), None)
            rest = piece if time is None else piece[: time.start] + piece[time.end :]
            role = re.sub(
                r"[()\[\],:]|\b(?:after|in|within|wait|then|if|not|no|ack\w*|resol\w+)\b", " ", rest
            )
            role = " ".join(role.split()).strip(" -+.")
            if not role:
                waiting = after_s
                continue
            after_s = waiting if after_s is None else after_s
            waiting = None
            if after_s is None:
                self._add_rung(role, "", line, named)
                continue
            levels = named.levels if named else None
            clock = clock_of(body, after_s)
            self._ladder.climbs.append(
                Climb(levels, clock, after_s, line, roles_in(role), None, words)
            )
        self._notes.mark(line, LineStatus.AUTOMATED, "escalation path")
        return True

    def _fence(self, block: Fence) -> None:
        self._notes.mark_block(block, LineStatus.REFERENCE, "drawing of the escalation")
        lines = block.content.splitlines()
        if any(self._scheme.named_in(x) and (VERB.search(x) or delay_of(x)) for x in lines):
            self._notes.find(
                "T123",
                block.line,
                1,
                "A code block is not read for rules: nobody is paged by it.",
                "Write it as a list: \u201cP1: if not resolved in 1 hour, page the team lead\u201d.",
            )

    def _climb(self, text: Inline, about: Named | None, in_path: bool) -> bool:
        words, line = text.plain, text.line
        lead, rest = _lead_and_rest(text)
        level_lead = self._named(lead) if lead else None
        if level_lead is None and (
            found := re.match(r"^(.{1,16}?)\s+[\u2013\u2014-]\s+(.+)$", words)
        ):
            level_lead = self._named(found[1])
            lead, rest = (found[1], found[2]) if level_lead else (lead, rest)
        named = self._scheme.named_in(words) or level_lead or about
        timed = delay_of(words)
        body = rest if level_lead is not None else words
        says_so = level_lead is not None or VERB.match(words) is not None
        if timed is None:
            if not says_so and not (about is not None and VERB.search(words)):
                return False
            return self._untimed(body, words, line, named)
        role_lead = bool(lead) and level_lead is None and ROLE_WORD.search(lead) is not None
        is_first = role_lead and in_path and not self._ladder.rungs and not has_clock(words)
        if is_first and (timed == 0 or named is None or FIRST.search(rest)):
            return self._first_responder(lead, rest, line, timed)
        measured = METRIC.search(body) and not has_clock(body) and timed > 0
        if measured and (level_lead is not None or (named is None and not TARGET.search(words))):
            self._undeclared(named, line)
            self._measurement(words, line)
            return True
        if timed and level_lead is None and named is None:
            clear_enough = has_clock(words) or IMMEDIATE.search(words) or TARGET.search(words)
            if not clear_enough and not lead:
                return False
        if role_lead and in_path and self._ladder.rungs:
            # Of the path, and with a time of its own: a criterion that names nobody means it too.
            self._add_rung(lead, rest, line, about, quiet=True)
        self._criterion(body, words, line, named, roles_in(lead) if role_lead else (), level_lead)
        return True

    def _criterion(
        self,
        body: str,
        words: str,
        line: int,
        named: Named | None,
        whom: tuple[str, ...],
        level_lead: Named | None = None,
    ) -> None:
        """Add what a timed line says: one climb for each time in it."""
        self._undeclared(named, line)
        self._short_form(named, line)
        condition = condition_of(words) if named is None else None
        to = whom
        clauses = [(clause, self._leading(clause)) for clause in clauses_of(clear(body))]
        levels = named.levels if named else self._others(words)
        if level_lead is not None and any(own is not None for _, own in clauses):
            levels = level_lead.levels
        for clause, own in clauses:
            after_s = delay_of(clause) or 0
            self._two_times(clause, after_s, line)
            to = targets_in(clause) or to
            levels = levels if own is None else own.levels
            self._ladder.climbs.append(
                Climb(
                    levels=levels,
                    clock=clock_of(clause, after_s),
                    after_s=after_s,
                    line=line,
                    to=to,
                    condition=condition,
                    words=words,
                )
            )
        if named is not None and _also_breach(words, named) and to:
            last = self._ladder.climbs[-1]
            self._ladder.climbs.append(
                Climb(None, Clock.EVENT, last.after_s, line, to, Condition.SECURITY_BREACH, words)
            )
        self._notes.mark(line, LineStatus.AUTOMATED, "escalation criterion")

    def _two_times(self, clause: str, after_s: int, line: int) -> None:
        if len({moment.after_s for moment in moments_of(clause) if moment.after_s}) > 1:
            self._notes.find(
                "T130",
                line,
                1,
                f"Two times stand here for one page; the sooner counts: after {say(after_s)}.",
                "Leave one, or write a line for each.",
            )

    def _leading(self, clause: str) -> Named | None:
        found = re.match(r"^\W*(.{1,16}?)\s*[:\u2013\u2014-]\s", clause)
        return self._scheme.named_in(found[1]) if found else None

    def _others(self, words: str) -> tuple[str, ...] | None:
        """Return the levels that no criterion above speaks of, for "all others"; else None: all."""
        if not _THE_REST.search(words):
            return None
        above = {level for climb in self._ladder.climbs for level in climb.levels or ()}
        return tuple(level for level in self._scheme.words if level not in above)

    def _untimed(
        self, body: str, words: str, line: int, named: Named | None, whom: tuple[str, ...] = ()
    ) -> bool:
        """Account for a criterion that gives no time; at once is the reading that loses nobody.

        What waits for something that nothing here can see is left to a person.
        """
        if named is None:
            return False
        to = whom or targets_in(body)
        condition = condition_of(body)
        if condition is not None and (VERB.search(body) or whom):
            self._undeclared(named, line)
            self._ladder.climbs.append(
                Climb(named.levels, Clock.EVENT, 0, line, to, condition, words)
            )
            return True
        waits = has_clock(body) and (VERB.search(body) or to) and not METRIC.search(body)
        if not waits and not is_plain_order(body):
            self._undeclared(named, line)
            self._note_not_carried(words, line, named.levels, to)
            return True
        self._undeclared(named, line)
        self._short_form(named, line)
        self._ladder.climbs.append(
            Climb(named.levels, Clock.IMMEDIATE, 0, line, to, None, words, untimed=True)
        )
        self._notes.mark(line, LineStatus.AUTOMATED, "escalation criterion, read as at once")
        return True

    def _first_responder(self, lead: str, rest: str, line: int, after_s: int) -> bool:
        """Read the path's first role with a time: a promise of theirs, nothing to wait for."""
        self._add_rung(lead, rest, line, None)
        if after_s:
            self._notes.find(
                "T136",
                line,
                rest,
                f"\u201c{short(rest)}\u201d is a promise of the first responder; nothing is timed by it.",
                "Say whom to page when it is broken: \u201cif not acknowledged in 15 min, page the"
                " team lead\u201d.",
            )
        else:
            levels = self._scheme.named_in(rest)
            self._ladder.climbs.append(
                Climb(
                    levels.levels if levels else None, Clock.IMMEDIATE, 0, line, roles_in(lead),
                    None, f"{lead}: {rest}",
                )
            )  # fmt: skip
        return True

    def _rung(self, text: Inline, about: Named | None, in_path: bool) -> bool:
        role, rest = _lead_and_rest(text)
        if not role:
            role, rest = self._role_and_rest(text.plain) if in_path else ("", "")
            found = re.match(r"^(.{2,60}?)\s+[\u2013\u2014-]\s+(.+)$", text.plain) or re.match(
                r"^([^()]{2,60}?)\s*\(([^()]+)\)\s*$", text.plain
            )
            if found:
                role, rest = found[1], found[2]
        if not role or any(len(one.split()) > 6 for one in roles_in(role)):
            return False
        if not ROLE_WORD.search(role) and not (in_path and self._is_rung(role, rest)):
            return False
        self._add_rung(role, rest, text.line, about)
        return True

    def _role_and_rest(self, words: str) -> tuple[str, str]:
        """Part "Team lead for P1+ incidents" where a level or an event begins."""
        found = re.match(
            r"^(?P<role>.{2,60}?),?\s+(?P<rest>(?:for|if|when|in case of|during)\s.+)$", words
        )
        if found and (self._scheme.named_in(found["rest"]) or condition_of(found["rest"])):
            return found["role"], found["rest"]
        named = self._scheme.named_in(words)
        if named is not None and named.words and not named.is_all:
            at = words.find(named.words)
            if at > 2:
                return words[:at].strip(" ,("), words[at:]
        return words, ""

    def _is_rung(self, role: str, rest: str) -> bool:
        says_for_whom = FIRST.search(rest) or self._scheme.named_in(rest) or condition_of(rest)
        return bool(says_for_whom or BLANK.match(role))

    def _add_rung(
        self, role: str, rest: str, line: int, about: Named | None, *, quiet: bool = False
    ) -> None:
        """Add every role that an item of the path names, all for the same levels.

        ``quiet`` leaves the findings to the criterion that the same item is.
        """
        named = (self._named(rest) if rest else None) or about
        condition = condition_of(rest) if named is None else None
        if quiet and condition is not None:
            return
        if not quiet:
            self._undeclared(named, line)
            self._short_form(named, line)
        if BLANK.match(role):
            self._notes.find(
                "T124", line, role, f"\u201c{role}\u201d names nobody.", "Write the role down."
            )
        roles = roles_in(role) or (role,)
        also = Condition.SECURITY_BREACH if named and _also_breach(rest, named) else None
        first = not self._ladder.rungs
        for one in roles:
            levels = named.levels if named else None
            self._ladder.rungs.append(Rung(one, levels, line, first, condition))
            if also is not None:
                self._ladder.rungs.append(Rung(one, None, line, first=False, condition=also))
        if condition is not None:
            report_event("rung", condition, roles, rest, line, self._notes)
        else:
            if also is not None:
                report_event("rung", also, roles, rest, line, self._notes)
            self._notes.mark(
                line, LineStatus.AUTOMATED, "rung of the escalation path", again=also is not None
            )

    def _table(self, table: Table, about: Named | None) -> None:
        header = [cell.plain for cell in table.header]
        matrix = {
            i: named
            for i, h in enumerate(header)
            if i and (named := self._level_alone(h)) is not None and named.levels
        }
        timed = {i: d for i, h in enumerate(header) if (d := delay_of(h)) is not None}
        columns = {
            name: [i for i, h in enumerate(header) if i not in timed and pattern.search(h)]
            for name, pattern in _COLUMN.items()
        }
        understood = False
        for row in table.rows:
            cells = [cell.plain for cell in row.cells] + [""] * len(header)
            if len(matrix) >= 2:
                read = self._matrix(cells, matrix, row.line)
            elif timed:
                read = self._timed_cells(cells, header, timed, columns, row.line)
            else:
                read = self._cells(cells, columns, row.line, about)
            understood = understood or read
            if not read:
                self._not_carried(" | ".join(c for c in cells if c), row.line, about)
        if understood:
            self._notes.mark(table.line, LineStatus.REFERENCE, "table header", end=table.line + 1)

    def _matrix(self, cells: list[str], matrix: dict[int, Named], line: int) -> bool:
        """Read a row of roles by levels: each cell says when, or merely that."""
        if not cells[0] or BLANK.match(cells[0]):
            return False
        read = False
        for i, named in matrix.items():
            cell = cells[i]
            after_s = delay_of(cell)
            if not cell or _NEVER.match(cell):
                read = True
                continue
            ticked = _TICKED.match(cell) is not None
            if after_s is None and not ticked:
                words = f"{cells[0]}, {matrix[i].levels[0]}: {cell}"
                self._note_not_carried(words, line, named.levels, roles_in(cells[0]))
                continue
            seconds = after_s or 0
            clock = clock_of(cell, seconds)
            to = roles_in(cells[0])
            self._ladder.climbs.append(Climb(named.levels, clock, seconds, line, to, None, cell))
            read = True
        if read:
            self._notes.mark(line, LineStatus.AUTOMATED, "escalation criterion", again=True)
        return read

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

    def _cells(
        self, cells: list[str], columns: dict[str, list[int]], line: int, about: Named | None
    ) -> bool:
        row = " ".join(c for c in cells if c)
        of_level = self._first_named(cells, columns["severity"])
        named = of_level or self._scheme.named_in(row) or about
        roles = [cells[i] for i in columns["role"] if ROLE_WORD.search(cells[i])]
        who = roles[0] if roles else ""
        when = " ".join(cells[i] for i in columns["when"] if cells[i])
        timed = delay_of(when) if when else delay_of(row)
        targets = roles_in(who) if who else targets_in(when) or targets_in(row)
        if not targets:
            # Under "Escalate to" any few words are somebody: "All hands".
            said = [cells[i] for i in columns["role"] if i not in columns["when"] and cells[i]]
            if said and len(said[0].split()) <= 4 and not BLANK.match(said[0]):
                targets = (said[0],)
        if timed is None:
            waits = of_level is not None and when not in ("", who) and has_clock(when)
            if who and not waits and all(len(one.split()) <= 6 for one in roles_in(who)):
                self._add_rung(who, when or row.replace(who, ""), line, of_level or about)
                return True
            return self._untimed(when or row, row, line, named, targets)
        self._undeclared(named, line)
        condition = condition_of(when) if named is None else None
        levels = named.levels if named else None
        clock = clock_of(when or row, timed)
        self._ladder.climbs.append(Climb(levels, clock, timed, line, targets, condition, row))
        self._notes.mark(line, LineStatus.AUTOMATED, "escalation criterion")
        return True

    def _first_named(self, cells: list[str], columns: list[int]) -> Named | None:
        return next((n for i in columns if (n := self._named(cells[i]))), None)

    def _named(self, words: str) -> Named | None:
        """Return the levels that words name; those that no scheme here has count as undeclared."""
        named = self._scheme.named_in(words)
        if named is None and self._scheme.levels and (found := _FOREIGN_LEVEL.search(words)):
            return Named((), found[0], undeclared=(found[0],))
        return named

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

    def _not_carried(self, words: str, line: int, about: Named | None, *, end: int = 0) -> None:
        named = self._scheme.named_in(words) or about
        self._undeclared(named, line)
        levels = named.levels if named else ()
        to = targets_in(words) if VERB.search(words) else ()
        self._note_not_carried(words, line, levels, to, end=end)

    def _note_not_carried(
        self, words: str, line: int, levels: tuple[str, ...], to: tuple[str, ...], *, end: int = 0
    ) -> None:
        rule = "escalation rule not understood"
        if levels:
            rule = "escalation criterion without a time"
        self._notes.mark(line, LineStatus.UNSUPPORTED, rule, end=end)
        self._ladder.not_carried.append(NotCarried(levels, line, words, to))

    def _measurement(self, words: str, line: int) -> None:
        self._notes.mark(line, LineStatus.HUMAN, "escalation on a measurement: a person judges")
        self._notes.find(
            "T125",
            line,
            1,
            f"\u201c{short(words)}\u201d waits for a measurement, not for a clock.",
            "Alert on the measurement and let the alert open the incident.",
        )


def _lines_of(text: Inline) -> list[Inline]:
    """Return every line of a paragraph as running text of its own."""
    lines: list[Inline] = []
    for at, raw in enumerate(text.raw.split("\n")):
        plain = re.sub(r"\*\*|__|`", "", raw).strip()
        if plain:
            number = text.line + at
            lines.append(Inline(raw=raw, plain=plain, line=number, end=number))
    return lines


def _lead_and_rest(text: Inline) -> tuple[str, str]:
    """Return the roles or levels before the colon, all of "**CTO** and **Legal**:", and the rest."""
    joined = text.lead and _JOINS.match(text.plain[len(text.lead) :])
    if not joined:
        return text.before_colon, text.after_colon if text.before_colon else ""
    found = _WHOLE_LEAD.match(text.plain)
    return (found[1], found[2]) if found else (text.plain, "")


def _also_breach(words: str, named: Named) -> bool:
    """Say whether words name levels and, beside them, a breach: "P0 incidents and data breaches"."""
    breach = BREACH.search(words)
    at = words.find(named.words) if named.words else -1
    if breach is None or at < 0:
        return False
    between = words[at + len(named.words) : breach.start()] or words[breach.end() : at]
    return re.search(r"\band\b|\bor\b|[,;/+&]", between) is not None
